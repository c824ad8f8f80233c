package egress

import (
	"fmt"
	"time"
)

// Verdict says what became of an attempt.
type Verdict string

// All verdicts.
const (
	// Allowed: the policy allows the target and it is connected.
	Allowed Verdict = "allowed"
	// NotListed: no rule names the target, and one could. The only verdict that a person can change by allowing more.
	NotListed Verdict = "not_listed"
	// Denied: a denial names the target, or no rule can (localhost, metadata addresses).
	Denied Verdict = "denied"
	// ForbiddenAddress: the policy allows the name, and it resolves only to addresses that are never dialled.
	ForbiddenAddress Verdict = "forbidden_address"
	// Fronting: an open tunnel was ended because its TLS hello names another host, or is none.
	Fronting Verdict = "fronting"
	// Invalid: the request names no target that can be understood.
	Invalid Verdict = "invalid"
	// Busy: the session has too many connections; nothing was read, so there is no target.
	Busy Verdict = "busy"
	// Unreachable: the policy allows the target, and resolving or dialling it failed.
	Unreachable Verdict = "unreachable"
)

// Attempt is one request of a session, reported when its fate is known: at once when it is refused, when the upstream
// connection stands when it is allowed. Bytes are in [Proxy.Usage].
type Attempt struct {
	// Host in canonical form and Port; "" and 0 when the request named none that could be understood.
	Host string
	Port int
	// Method is CONNECT or the method of a plain http request; "" for Busy.
	Method string
	// Allowed is the policy's answer: true for the verdicts Allowed and Unreachable.
	Allowed bool
	Verdict Verdict
	// Reason is a sentence for people, "" when Allowed. It may quote what the session sent (shortened, escaped) and
	// name internal addresses, which the session itself is not told.
	Reason string
	// Duration is the time from the request to the report: nearly all of it resolving and dialling, and for Fronting
	// also what the client took to send its hello.
	Duration time.Duration
}

// quote makes text from a session safe and short enough for a log.
func quote(s string) string { return fmt.Sprintf("%.200q", s) }

// refusal is why a request gets no connection. It is the error of every step before the first byte is passed on.
type refusal struct {
	verdict Verdict
	target  Target
	detail  string // for the log only
}

func (r *refusal) Error() string {
	if r.detail == "" {
		return r.public()
	}
	return r.public() + ": " + r.detail
}

// public is the text for the session. It repeats nothing that the session does not know already.
func (r *refusal) public() string {
	switch r.verdict {
	case NotListed:
		return fmt.Sprintf("egress to %s is not allowed; allow it with --allow-host %s", r.target, r.target)
	case Denied:
		if _, err := ParseRule(r.target.String()); err != nil {
			return fmt.Sprintf("egress to %s is denied: %v", r.target, err)
		}
		return fmt.Sprintf("egress to %s is denied to every session", r.target)
	case ForbiddenAddress:
		return fmt.Sprintf("egress to %s is not allowed: it has no public address", r.target)
	case Fronting:
		return fmt.Sprintf("tunnel to %s ended: its TLS hello is not for that host", r.target)
	case Unreachable:
		return fmt.Sprintf("egress to %s is allowed but it cannot be reached", r.target)
	case Busy:
		return "too many connections in this session; close some and try again"
	}
	return "this is an HTTP proxy: send CONNECT HOST:PORT or a request for http://HOST/"
}

// status is the HTTP status of the answer.
func (r *refusal) status() int {
	switch r.verdict {
	case Invalid:
		return 400
	case Unreachable:
		return 502
	case Busy:
		return 503
	}
	return 403
}

// header is the value of the X-Ratchetai-Egress header, by which a tool's wrapper can tell our answers from a
// server's.
func (r *refusal) header() string {
	switch r.verdict {
	case Invalid, Busy, Unreachable:
		return string(r.verdict)
	}
	return "denied"
}

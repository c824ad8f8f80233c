package egress

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Ports of a rule that names none.
const (
	portHTTP  = 80
	portHTTPS = 443
)

// Rule names destinations: one host or all names below a domain, on one port or on the usual two.
type Rule struct {
	host     Host   // for a wildcard: the domain below which names match
	wildcard bool   // names below host, at any depth, and never host itself
	port     uint16 // 0: none was given
}

// ParseRule reads "host[:port]" or "*.domain[:port]". It is pure.
//
// Without a port a rule allows 80 and 443; any other port is named, as in github.com:22, and there is no wildcard for
// ports. "*.example.com" matches names below example.com at any depth, not example.com itself; a bare "*" and a
// wildcard over a single label such as *.com are refused. (No list of public suffixes is consulted: *.co.uk is taken
// at its word.)
//
// IP addresses match only when named. Private ranges can be named; loopback, link-local (cloud metadata), multicast,
// unspecified and translated addresses never can, because no ordinary service lives there and every attack does.
// Names of one label are refused: they mean whatever the runner's search domains make of them. [RunnerHost] needs its
// port.
func ParseRule(s string) (Rule, error) {
	if strings.Contains(s, "://") {
		return Rule{}, errors.New("give the host alone, not a URL")
	}
	host, port, err := splitPort(s)
	if err != nil {
		return Rule{}, err
	}
	host, wildcard := strings.CutPrefix(host, "*.")
	if host == "*" {
		return Rule{}, errors.New(`"*" would allow everything: name the hosts, or use an open network`)
	}
	h, err := ParseHost(host)
	if err != nil {
		return Rule{}, err
	}
	r := Rule{host: h, wildcard: wildcard, port: port}
	if err := r.validate(); err != nil {
		return Rule{}, err
	}
	return r, nil
}

func (r Rule) validate() error {
	name := r.host.name
	switch {
	case r.host.IsIP() && r.wildcard:
		return errors.New("a wildcard needs a domain, not an address")
	case r.host.IsIP():
		if kind := unnameable(r.host.addr); kind != "" {
			return fmt.Errorf("a %s address can never be allowed (a port of the runner is %s:PORT)", kind, RunnerHost)
		}
	case name == "localhost" || strings.HasSuffix(name, ".localhost"):
		return fmt.Errorf("the sandbox has its own localhost; a port of the runner is %s:PORT", RunnerHost)
	case !strings.Contains(name, ".") && r.wildcard:
		return errors.New("a wildcard needs a domain of at least two labels")
	case !strings.Contains(name, "."):
		return errors.New("a name of one label is neither a preset nor a full host name")
	case r.wildcard && (name == RunnerHost || strings.HasSuffix(RunnerHost, "."+name)):
		return fmt.Errorf("%s cannot be part of a wildcard", RunnerHost)
	case name == RunnerHost && r.port == 0:
		return fmt.Errorf("name the port, as in %s:8080", RunnerHost)
	}
	return nil
}

// String returns the rule in canonical form; ParseRule reads it back to the same Rule.
func (r Rule) String() string {
	s := r.host.String()
	if r.wildcard {
		s = "*." + s
	}
	if r.port != 0 {
		s += ":" + strconv.Itoa(int(r.port))
	}
	return s
}

// Allows reports whether the rule, read as permission, covers t: without a port it covers 80 and 443.
func (r Rule) Allows(t Target) bool {
	if r.port == 0 {
		return r.names(t.Host) && (t.Port == portHTTP || t.Port == portHTTPS)
	}
	return r.names(t.Host) && r.port == t.Port
}

// Denies reports whether the rule, read as prohibition, covers t: without a port it covers every port.
func (r Rule) Denies(t Target) bool {
	return r.names(t.Host) && (r.port == 0 || r.port == t.Port)
}

func (r Rule) names(h Host) bool {
	if !r.wildcard {
		return r.host == h
	}
	return !h.IsIP() && len(h.name) > len(r.host.name)+1 && strings.HasSuffix(h.name, "."+r.host.name)
}

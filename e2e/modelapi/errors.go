package modelapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// vendor is whose wire format an answer has.
type vendor string

const (
	anthropic vendor = "anthropic"
	openai    vendor = "openai"
)

// codeUsageLimit marks the 429 of a subscription that is used up.
const codeUsageLimit = "usage_limit_reached"

// resetHeader carries the reset time of a usage limit as Claude's API sends it.
const resetHeader = "Anthropic-Ratelimit-Unified-Reset"

// vendorOf guesses whose client asks, for paths that neither API has.
func vendorOf(r *http.Request) vendor {
	if r.Header.Get("Anthropic-Version") != "" || strings.HasPrefix(r.UserAgent(), "claude") {
		return anthropic
	}
	return openai
}

// writeError answers with the vendor's error body and headers for turn.Status.
func writeError(w http.ResponseWriter, v vendor, turn Turn) {
	code := turn.Code
	if code == "" {
		code = errorCode(v, turn.Status)
	}
	message := turn.Text
	if message == "" {
		message = fmt.Sprintf("scripted %d %s", turn.Status, http.StatusText(turn.Status))
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Request-Id", "req_scripted")
	for name, values := range turn.Header {
		h[name] = values
	}
	w.WriteHeader(turn.Status)
	_ = json.NewEncoder(w).Encode(errorBody(v, code, message, turn.Header))
}

func errorBody(v vendor, code, message string, header http.Header) object {
	if v == anthropic {
		if code == codeUsageLimit {
			code = "rate_limit_error"
		}
		return object{
			"type": "error", "request_id": "req_scripted",
			"error": object{"type": code, "message": message},
		}
	}
	detail := object{"type": code, "code": code, "message": message, "param": nil}
	if code == codeUsageLimit {
		resets, _ := strconv.ParseInt(header.Get(resetHeader), 10, 64)
		detail["plan_type"] = "plus"
		detail["resets_at"] = resets
	}
	return object{"error": detail}
}

// limitHeader says in both vendors' headers that the five-hour window is used up.
func limitHeader(resetsAt time.Time) http.Header {
	reset := strconv.FormatInt(resetsAt.Unix(), 10)
	h := http.Header{}
	h.Set(resetHeader, reset)
	h.Set("Anthropic-Ratelimit-Unified-Status", "rejected")
	h.Set("Anthropic-Ratelimit-Unified-Representative-Claim", "five_hour")
	h.Set("X-Should-Retry", "false")
	h.Set("X-Codex-Primary-Used-Percent", "100")
	h.Set("X-Codex-Primary-Window-Minutes", "300")
	h.Set("X-Codex-Primary-Reset-At", reset)
	return h
}

// errorCode is the error type that the vendor's documentation gives for a status.
func errorCode(v vendor, status int) string {
	switch {
	case status == http.StatusUnauthorized && v == openai:
		return "invalid_api_key"
	case status == http.StatusUnauthorized:
		return "authentication_error"
	case status == http.StatusForbidden:
		return "permission_error"
	case status == http.StatusNotFound:
		return "not_found_error"
	case status == http.StatusTooManyRequests && v == openai:
		return "rate_limit_exceeded"
	case status == http.StatusTooManyRequests:
		return "rate_limit_error"
	case status == 529:
		return "overloaded_error"
	case status >= 500 && v == openai:
		return "server_error"
	case status >= 500:
		return "api_error"
	default:
		return "invalid_request_error"
	}
}

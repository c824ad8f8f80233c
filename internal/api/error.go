package api

import "cmp"

// Code tells errors apart, for programs.
type Code string

// The codes of errors, each with one HTTP status.
const (
	CodeInvalid      Code = "invalid"           // 400: the request is not understood
	CodeUnauthorized Code = "unauthorized"      // 401: no token, or none that is valid
	CodeForbidden    Code = "forbidden"         // 403: the token is for something else
	CodeNotFound     Code = "not_found"         // 404
	CodeConflict     Code = "conflict"          // 409: not in this state
	CodeGap          Code = "gap"               // 409: events are missing; Acked says from where
	CodeFenced       Code = "fenced"            // 410: the lease is lost
	CodeSuperseded   Code = "superseded"        // 410: a newer process is this runner
	CodeTooLarge     Code = "too_large"         // 413: split the batch
	CodeTooMany      Code = "too_many_requests" // 429, with Retry-After
	CodeInternal     Code = "internal"          // 500
	CodeUnavailable  Code = "unavailable"       // 503, with Retry-After: starting, stopping or out of disk
)

// Error is what every call that fails answers, inside of {"error":…}.
//
//	{"error":{"code":"not_found","message":"no task 0198…","hint":"task ls lists them"}}
//	{"error":{"code":"gap","message":"events 8 to 11 are missing"},"acked":7}
type Error struct {
	Status  int    `json:"-"`
	Code    Code   `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	// Acked is the last event that is stored, with CodeGap; beside "error" in JSON.
	Acked uint64 `json:"-"`
	// RetryAfterMS is how long to wait, with CodeTooMany and CodeUnavailable.
	RetryAfterMS int64 `json:"retry_after_ms,omitempty"`
}

// ErrorBody is the body of an answer that is an error.
type ErrorBody struct {
	Error Error   `json:"error"`
	Acked *uint64 `json:"acked,omitempty"` // with CodeGap
}

// Error is what a person reads; Code is for programs.
func (e *Error) Error() string { return cmp.Or(e.Message, string(e.Code)) }

package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/schedule"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// status is the one table from an error's code to its HTTP status.
func status(c api.Code) int {
	switch c {
	case api.CodeInvalid:
		return http.StatusBadRequest
	case api.CodeUnauthorized:
		return http.StatusUnauthorized
	case api.CodeForbidden:
		return http.StatusForbidden
	case api.CodeNotFound:
		return http.StatusNotFound
	case api.CodeConflict, api.CodeGap:
		return http.StatusConflict
	case api.CodeFenced, api.CodeSuperseded:
		return http.StatusGone
	case api.CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case api.CodeTooMany:
		return http.StatusTooManyRequests
	case api.CodeUnavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// problem is the one table from what went wrong to what the caller is told.
func problem(err error) *api.Error {
	var known *api.Error
	var large *http.MaxBytesError
	var gap store.GapError
	text := err.Error()
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &gap):
		return &api.Error{Code: api.CodeGap, Message: text, Acked: gap.Acked}
	case errors.As(err, &large):
		return &api.Error{Code: api.CodeTooLarge, Message: "the body has more than " + strconv.FormatInt(large.Limit, 10) + " bytes"}
	case errors.Is(err, task.ErrInvalid), errors.Is(err, schedule.ErrInvalid):
		return invalid(text)
	case errors.Is(err, store.ErrNotFound):
		return &api.Error{Code: api.CodeNotFound, Message: text}
	case errors.Is(err, store.ErrConflict):
		return &api.Error{Code: api.CodeConflict, Message: text}
	case errors.Is(err, store.ErrFenced):
		return &api.Error{Code: api.CodeFenced, Message: text}
	case errors.Is(err, schedule.ErrSuperseded):
		return &api.Error{Code: api.CodeSuperseded, Message: text}
	case errors.Is(err, schedule.ErrDevice):
		return &api.Error{Code: api.CodeForbidden, Message: text, Hint: "every runner needs a token of its own: device add NAME"}
	case errors.Is(err, store.ErrFull):
		return &api.Error{Code: api.CodeUnavailable, Message: text, RetryAfterMS: 10_000}
	case errors.Is(err, errStopping):
		return &api.Error{Code: api.CodeUnavailable, Message: text, RetryAfterMS: 1000}
	case errors.Is(err, errRevoked):
		return errNoToken()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return invalid("the body came too slowly")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return invalid("the body is cut")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &api.Error{Code: api.CodeUnavailable, Message: "the request was given up", RetryAfterMS: 1000}
	}
	return &api.Error{Code: api.CodeInternal, Message: "the control plane failed; its log says more"}
}

func invalid(message string) *api.Error { return &api.Error{Code: api.CodeInvalid, Message: message} }

// fail answers c with err.
func (s *Server) fail(c *call, err error) {
	e := problem(err)
	code := status(e.Code)
	log := s.log.WithError(err).WithFields(map[string]any{"method": c.r.Method, "path": c.r.URL.Path, "status": code})
	if code == http.StatusInternalServerError {
		log.Error("request failed")
	} else {
		log.Debug("request refused")
	}
	body := api.ErrorBody{Error: *e}
	if e.Code == api.CodeGap {
		body.Acked = &e.Acked
	}
	if e.RetryAfterMS > 0 {
		c.w.Header().Set("Retry-After", strconv.FormatInt((e.RetryAfterMS+999)/1000, 10))
	}
	if e.Code == api.CodeUnauthorized {
		c.w.Header().Set("WWW-Authenticate", "Bearer")
	}
	c.json(code, body)
}

// json answers with v.
func (c *call) json(status int, v any) {
	c.w.Header().Set("Content-Type", "application/json")
	c.w.Header().Set("Cache-Control", "no-store")
	c.w.WriteHeader(status)
	if c.r.Method == http.MethodHead || v == nil {
		return
	}
	// What fails here is the connection, which nobody can be told.
	_ = json.NewEncoder(c.w).Encode(v)
}

package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/sprawlto/ratchetai-runner/internal/api"
)

// sync is the runner's long poll. What it costs while it is held is a connection, two
// goroutines and what the dispatcher keeps of the report.
func (s *Server) sync(c *call) error {
	report, err := readSync(c)
	if err != nil {
		return err
	}
	ctx, release, err := s.hold(c)
	if err != nil {
		return err
	}
	defer release()
	answer, err := s.dispatch.Sync(ctx, c.by, report)
	if err == nil && c.by.Runner == "" { // the first with this token
		s.audit(c, "runner.connect", report.Runner, report.Name)
	}
	if cause := context.Cause(ctx); errors.Is(cause, errRevoked) || errors.Is(cause, errStopping) {
		return cause
	}
	if err != nil {
		return err
	}
	c.json(http.StatusOK, answer)
	return nil
}

// readSync reads a report; the request's body is not needed after it. The dispatcher
// checks what it says.
func readSync(c *call) (api.Sync, error) {
	var r api.Sync
	err := c.decode(&r, api.SyncMax)
	switch {
	case err != nil:
	case r.Protocol < api.Protocol:
		err = &api.Error{Code: api.CodeInvalid, Message: "this runner speaks an older protocol than this control plane", Hint: "update the runner"}
	case !plain(r.Runner) || !plain(r.Instance) || !plain(r.Name) || !plain(r.Version):
		err = invalid("runner, instance, name or version is too long or no plain text")
	}
	return r, err
}

// announce takes in a session that a runner started by itself.
func (s *Server) announce(c *call) error {
	var a api.Announce
	if err := c.decode(&a, bodyMax); err != nil {
		return err
	}
	if a.Runner == "" || a.Session == "" || !plain(a.Runner) || !plain(a.Name) || !plain(a.Session) {
		return invalid("an announcement needs runner, name and session")
	}
	if err := a.Spec.Check(); err != nil {
		return err
	}
	lease, err := s.dispatch.Announce(c.ctx(), c.by, a)
	if err != nil {
		return err
	}
	s.callers.forget() // the token has a runner now
	s.audit(c, "session.announce", lease.Session, a.Spec.Name())
	c.json(http.StatusOK, lease)
	return nil
}

package server

import (
	"context"
	"net/http"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
)

// readyTime is how long a write may wait for its turn.
const readyTime = 5 * time.Second

// readyz is GET /readyz: the control plane can do its work.
func (s *Server) readyz(c *call) error {
	ctx, cancel := context.WithTimeout(c.ctx(), readyTime)
	defer cancel()
	err := s.held.ended()
	if err == nil {
		err = s.store.Check(ctx)
	}
	if err != nil {
		return &api.Error{Code: api.CodeUnavailable, Message: err.Error(), RetryAfterMS: 1000}
	}
	c.json(http.StatusOK, map[string]string{"status": "ready"})
	return nil
}

// healthz is GET /healthz: the process answers.
func (s *Server) healthz(c *call) error {
	c.json(http.StatusOK, map[string]string{"status": "ok", "version": s.version})
	return nil
}

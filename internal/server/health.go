package server

import (
	"net/http"

	"github.com/sprawlto/ratchetai-runner/internal/api"
)

// readyz is GET /readyz: the control plane can do its work.
func (s *Server) readyz(c *call) error {
	if err := s.ready(c.ctx()); err != nil {
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

package server

import (
	"net/http"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// mark says whose runners are away.
func (s *Server) mark(sessions []task.Session) {
	for i := range sessions {
		sessions[i].Away = sessions[i].State.Open() && s.dispatch.Away(sessions[i].ID)
	}
}

func (s *Server) listSessions(c *call) error {
	limit, before, err := c.page()
	if err != nil {
		return err
	}
	q := c.r.URL.Query()
	all, next, err := s.store.Sessions(c.ctx(), q.Get("task"), task.SessionState(q.Get("state")), limit, before)
	if err != nil {
		return err
	}
	s.mark(all)
	c.json(http.StatusOK, api.Sessions{Sessions: list(all), Next: next})
	return nil
}

func (s *Server) showSession(c *call) error {
	one, err := s.store.Session(c.ctx(), c.r.PathValue("id"))
	if err != nil {
		return err
	}
	all := []task.Session{one}
	s.mark(all)
	c.json(http.StatusOK, all[0])
	return nil
}

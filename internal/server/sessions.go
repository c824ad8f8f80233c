package server

import (
	"fmt"
	"net/http"
	"slices"

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
	states := []task.SessionState{task.Offered, task.Accepted, task.Active, task.Ended, task.Declined, task.Returned, task.Gone}
	limit, before, err := c.page()
	if err != nil {
		return err
	}
	if _, err := c.number("before"); err != nil {
		return err
	}
	of, state := c.r.URL.Query().Get("task"), task.SessionState(c.r.URL.Query().Get("state"))
	switch {
	case state != "" && !slices.Contains(states, state):
		return invalid(fmt.Sprintf("state %q is none of %q", state, states))
	case state != "" && of != "":
		return invalid("task and state exclude each other")
	}
	all, next, err := s.store.Sessions(c.ctx(), of, state, limit, before)
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

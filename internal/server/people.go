package server

import (
	"context"
	"net/http"
	"slices"

	"github.com/sprawlto/ratchetai-runner/internal/api"
)

// needs is everything that needs a person, oldest first.
func (s *Server) needs(ctx context.Context) ([]api.InboxItem, error) {
	items, err := s.store.Inbox(ctx)
	if err != nil {
		return nil, err
	}
	waiting, err := s.dispatch.Waiting(ctx)
	if err != nil {
		return nil, err
	}
	items = append(items, waiting...)
	slices.SortStableFunc(items, func(a, b api.InboxItem) int { return a.Since.Compare(b.Since) })
	return items, nil
}

func (s *Server) listInbox(c *call) error {
	items, err := s.needs(c.ctx())
	if err != nil {
		return err
	}
	c.json(http.StatusOK, api.Inbox{Items: list(items)})
	return nil
}

func (s *Server) dismiss(c *call) error {
	id := c.r.PathValue("id")
	if err := s.store.Dismiss(c.ctx(), id); err != nil {
		return err
	}
	s.audit(c, "inbox.dismiss", id, "")
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) listRunners(c *call) error {
	all, err := s.dispatch.Runners(c.ctx())
	if err != nil {
		return err
	}
	c.json(http.StatusOK, api.Runners{Runners: list(all)})
	return nil
}

func (s *Server) removeRunner(c *call) error {
	id := c.r.PathValue("id")
	if err := s.dispatch.Remove(c.ctx(), id); err != nil {
		return err
	}
	s.audit(c, "runner.remove", id, "")
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) listAudit(c *call) error {
	limit, before, err := c.page()
	if err != nil {
		return err
	}
	if _, err := c.number("before"); err != nil {
		return err
	}
	all, next, err := s.store.AuditLog(c.ctx(), before, limit)
	if err != nil {
		return err
	}
	c.json(http.StatusOK, api.Audit{Entries: list(all), Next: next})
	return nil
}

func (s *Server) me(c *call) error {
	name := c.by.User
	if name == "" {
		name = c.by.Name
	}
	c.json(http.StatusOK, api.Me{Name: name, Kind: string(c.by.Kind), Version: s.version})
	return nil
}

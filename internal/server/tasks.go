package server

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// addTask queues a task. With an Idempotency-Key that was used before it answers 200
// and the task of then, else 201.
func (s *Server) addTask(c *call) error {
	key := c.r.Header.Get("Idempotency-Key")
	if !plain(key) {
		return invalid("the Idempotency-Key is too long or no plain text")
	}
	var spec task.Spec
	if err := c.decode(&spec, bodyMax); err != nil {
		return err
	}
	if err := spec.Check(); err != nil {
		return err
	}
	t, added, err := s.dispatch.Add(c.ctx(), spec, c.who(), key)
	if err != nil {
		return err
	}
	s.explain(c, &t)
	if !added {
		c.json(http.StatusOK, t)
		return nil
	}
	c.w.Header().Set("Location", s.link("/api/v1/tasks/"+t.ID))
	s.audit(c, "task.create", t.ID, t.Name())
	c.json(http.StatusCreated, t)
	return nil
}

// explain adds why a queued task waits.
func (s *Server) explain(c *call, t *task.Task) {
	if t.State == task.Queued {
		t.Why = s.dispatch.Why(c.ctx(), *t)
	}
}

func (s *Server) listTasks(c *call) error {
	limit, before, err := c.page()
	if err != nil {
		return err
	}
	f := store.TaskFilter{State: task.State(c.r.URL.Query().Get("state")), Limit: limit, Before: before}
	if !slices.Contains([]task.State{"", task.Queued, task.Assigned, task.Running, task.Finished}, f.State) {
		return invalid(fmt.Sprintf("state %q is none of queued, assigned, running and finished", f.State))
	}
	all, next, err := s.store.Tasks(c.ctx(), f)
	if err != nil {
		return err
	}
	for i := range all {
		s.explain(c, &all[i])
	}
	c.json(http.StatusOK, api.Tasks{Tasks: list(all), Next: next})
	return nil
}

// list is never null in JSON.
func list[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

func (s *Server) showTask(c *call) error {
	t, sessions, err := s.store.Task(c.ctx(), c.r.PathValue("id"))
	if err != nil {
		return err
	}
	s.explain(c, &t)
	s.mark(sessions)
	c.json(http.StatusOK, api.TaskDetail{Task: t, Sessions: list(sessions)})
	return nil
}

func (s *Server) cancelTask(c *call) error {
	return s.changeTask(c, "task.cancel", func(id string) (task.Task, error) { return s.dispatch.Cancel(c.ctx(), id, c.who()) })
}

func (s *Server) retryTask(c *call) error {
	return s.changeTask(c, "task.retry", func(id string) (task.Task, error) { return s.dispatch.Retry(c.ctx(), id) })
}

func (s *Server) changeTask(c *call, action string, change func(id string) (task.Task, error)) error {
	t, _, err := s.store.Task(c.ctx(), c.r.PathValue("id")) // which completes the id
	if err != nil {
		return err
	}
	if t, err = change(t.ID); err != nil {
		return err
	}
	s.explain(c, &t)
	s.audit(c, action, t.ID, t.Name())
	c.json(http.StatusOK, t)
	return nil
}

package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// line is one line of the home page.
type line struct {
	Mark, Look       string // what it is, and good, bad, wait or nothing
	Title, Age, More string
}

// homeMax bounds each list of the home page.
const homeMax = 20

// homePage shows what is going on.
func (s *Server) homePage(c *call) error {
	if err := s.authenticate(c, people); err != nil {
		return s.redirect(c, "/sign-in")
	}
	p := page{Title: "ratchetai-runner", Name: c.by.User, URL: s.public.String()}
	if s.public.Host == "" {
		p.URL = "http://" + c.r.Host
		if c.r.TLS != nil {
			p.URL = "https://" + c.r.Host
		}
	}
	if err := s.fill(c.ctx(), &p); err != nil {
		return err
	}
	return s.show(c, http.StatusOK, "home", p)
}

func (s *Server) fill(ctx context.Context, p *page) error {
	needs, err := s.needs(ctx)
	for _, item := range needs[:min(len(needs), homeMax)] {
		p.Needs = append(p.Needs, s.needLine(item))
	}
	all, rerr := s.dispatch.Runners(ctx)
	for _, r := range all {
		p.Runners = append(p.Runners, s.runnerLine(r))
	}
	for _, group := range []struct {
		state task.State
		lines *[]line
	}{{task.Running, &p.Running}, {task.Assigned, &p.Running}, {task.Queued, &p.Waiting}, {task.Finished, &p.Finished}} {
		tasks, _, terr := s.store.Tasks(ctx, store.TaskFilter{State: group.state, Limit: homeMax})
		err = errors.Join(err, terr)
		for _, t := range tasks {
			*group.lines = append(*group.lines, s.taskLine(ctx, t))
		}
	}
	return errors.Join(err, rerr)
}

func (s *Server) needLine(i api.InboxItem) line {
	l := line{Mark: "waiting", Look: "wait", Title: i.Title, More: i.Text, Age: s.age(i.Since)}
	switch i.Kind {
	case api.InboxAsk:
		l.Mark = "asks"
	case api.InboxOutcome:
		l.Mark, l.Look = words(i.Outcome), "bad"
	}
	return l
}

func (s *Server) taskLine(ctx context.Context, t task.Task) line {
	l := line{Mark: string(t.State), Title: t.Name(), Age: s.age(t.CreatedAt), More: t.Reason}
	switch t.State {
	case task.Queued:
		l.Look, l.More = "wait", s.dispatch.Why(ctx, t)
	case task.Finished:
		l.Mark, l.Look = words(t.Outcome), "bad"
		if t.Outcome == event.Succeeded {
			l.Look, l.More = "good", ""
		}
		if t.FinishedAt != nil {
			l.Age = s.age(*t.FinishedAt)
		}
	default:
		l.Look = "good"
		if session, err := s.store.Session(ctx, t.Session); err == nil {
			l.More = "on " + session.RunnerName
			if s.dispatch.Away(session.ID) {
				l.Look, l.More = "wait", l.More+", which is away"
			}
		}
	}
	return l
}

func (s *Server) runnerLine(r api.Runner) line {
	l := line{Mark: "connected", Look: "good", Title: r.Name, Age: fmt.Sprintf("%d of %d", r.Running, r.Capacity)}
	var more []string
	switch {
	case !r.Connected:
		l.Mark, l.Look, l.Age = "away", "bad", s.age(r.SeenAt)
	case !r.Health.Ready:
		l.Mark, l.Look = "takes nothing", "wait"
		more = append(more, r.Health.Reasons...)
	}
	for _, a := range r.Agents {
		state := a.Kind
		if a.Login != "ready" {
			state += " is " + strings.ReplaceAll(a.Login, "_", " ")
		}
		more = append(more, state)
	}
	l.More = strings.Join(more, " · ")
	return l
}

func words(o event.Outcome) string { return strings.ReplaceAll(string(o), "_", " ") }

// age is how long ago something was.
func (s *Server) age(t time.Time) string {
	d := max(0, s.now().Sub(t))
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// measureAgents starts the real agents, in the image that sessions get, against the
// scripted model API. Nobody's budget: how long they take is up to the vendors.
func measureAgents(ctx context.Context, l *lab) ([]row, error) {
	image, err := runner.Builder{
		Engine: l.engine, Program: l.program, CA: runner.SystemCA(os.Getenv), Progress: func(string) {},
	}.Ensure(ctx)
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, kind := range []agent.Kind{agent.Claude, agent.Codex} {
		var line, request []time.Duration
		for range 3 {
			a, err := l.agentStart(ctx, kind, image)
			if err != nil {
				return rows, fmt.Errorf("%s: %w", kind, err)
			}
			line, request = append(line, a.line), append(request, a.request)
		}
		rows = append(rows,
			row{What: string(kind) + ": start to its first line", Value: ms(median(line)), Unit: "ms"},
			row{What: string(kind) + ": start to its first connection", Value: ms(median(request)), Unit: "ms"},
		)
	}
	return rows, nil
}

// agentTimes are measured from the runner's Start, the container's own included.
type agentTimes struct{ line, request time.Duration }

func (l *lab) agentStart(ctx context.Context, kind agent.Kind, image string) (agentTimes, error) {
	api, err := modelapi.New(modelapi.Text("done"))
	if err != nil {
		return agentTimes{}, err
	}
	defer api.Close()
	home, err := os.MkdirTemp(l.dir, "agent-")
	if err != nil {
		return agentTimes{}, err
	}
	defer os.RemoveAll(home)
	r, e, err := newRunner(l.engine, home)
	if err != nil {
		return agentTimes{}, err
	}
	connected := &connections{Engine: e}
	r.Engine = connected
	r.Home = filepath.Join(home, "nobody") // the login is a variable
	r.Getenv = func(name string) string {
		return map[string]string{"ANTHROPIC_API_KEY": "sk-ant-api03-0123456789abcdef", "OPENAI_API_KEY": "sk-0123456789abcdef"}[name]
	}
	t, err := probeTask(home, image, l.user)
	if err != nil {
		return agentTimes{}, err
	}
	if os.Getuid() == 0 {
		_ = os.Chown(t.Workspace, 1000, 1000)
	}
	_, port, _ := net.SplitHostPort(api.Addr())
	host := "host.ratchet.internal:" + port
	t.Kind, t.BaseURL, t.Allow = kind, "http://"+host, []string{host}
	if kind == agent.Codex {
		t.BaseURL += "/v1"
	}
	start := time.Now()
	s, err := r.Start(ctx, t)
	if err != nil {
		return agentTimes{}, err
	}
	stop := context.AfterFunc(ctx, func() { s.Kill(event.Cancelled, "interrupted") })
	defer stop()
	if end := s.Result(); end.Outcome != event.Succeeded {
		return agentTimes{}, fmt.Errorf("session %s: %s", end.Outcome, end.Reason)
	}
	return agentTimes{line: e.out.Load().first.Sub(start), request: connected.first().Sub(start)}, nil
}

// connections notes when the first one comes out of a sandbox.
type connections struct {
	sandbox.Engine

	mu sync.Mutex
	at time.Time
}

func (c *connections) Start(ctx context.Context, spec sandbox.Spec) (sandbox.Process, error) {
	proxy := spec.Proxy
	spec.Proxy = func(conn net.Conn) {
		c.mu.Lock()
		if c.at.IsZero() {
			c.at = time.Now()
		}
		c.mu.Unlock()
		proxy(conn)
	}
	return c.Engine.Start(ctx, spec)
}

func (c *connections) first() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

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
	"github.com/sprawlto/ratchetai-runner/images"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// measureAgents starts the real agents, if their image was built, against the
// scripted model API. Nobody's budget: how long they take is up to the vendors.
func measureAgents(ctx context.Context, l *lab) ([]row, error) {
	base, err := l.bare.newestTag(ctx, "ratchetai-runner-agents")
	if err != nil {
		return nil, err
	}
	if base == "" {
		return []row{note("claude and codex", "no image; make demo builds it")}, nil
	}
	image, err := l.agentsImage(ctx, base)
	if err != nil {
		return nil, err
	}
	defer func() { _ = l.engine.RemoveImage(context.WithoutCancel(ctx), image) }()
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

// agentsImage puts the program under test on top of the agents.
func (l *lab) agentsImage(ctx context.Context, base string) (string, error) {
	dockerfile, err := images.Files().ReadFile(images.FinalDockerfile)
	if err != nil {
		return "", err
	}
	tag := "ratchetai-bench-agents:" + l.bare.owner
	return tag, l.engine.Build(ctx, sandbox.Build{
		Tag: tag, Dockerfile: images.FinalDockerfile, Args: map[string]string{"BASE": base},
		Files: []sandbox.BuildFile{
			{Name: images.FinalDockerfile, Mode: 0o644, Content: dockerfile},
			{Name: "ratchetai-runner", Mode: 0o755, Path: l.program},
		},
	}, func(string) {})
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
	t, err := task(home, image, l.user)
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

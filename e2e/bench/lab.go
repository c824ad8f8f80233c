package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/sirupsen/logrus"

	"github.com/sprawlto/ratchetai-runner/images"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// lab is what the measurements share.
type lab struct {
	program string // the binary under test
	dir     string // scratch, removed at the end
	user    string // UID:GID in the sandboxes
	bare    *bare
	engine  *sandbox.Docker
	// streamBytes is how long the stream is over which memory has to stay flat.
	streamBytes int64
}

// newLab returns a lab; without an engine if that is not needed.
func newLab(ctx context.Context, program string, engine bool) (l *lab, err error) {
	program, err = filepath.Abs(program)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(program); err != nil {
		return nil, fmt.Errorf("%w (run make build first)", err)
	}
	l = &lab{program: program, user: fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid())}
	if os.Getuid() == 0 {
		l.user = "1000:1000"
	}
	if l.dir, err = os.MkdirTemp("", "ratchetai-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(l.dir)
		}
	}()
	if !engine {
		return l, nil
	}
	return l, l.openEngine(ctx)
}

// openEngine finds the engine and makes the probe's image.
func (l *lab) openEngine(ctx context.Context) (err error) {
	if l.bare, err = newBare(strconv.Itoa(os.Getpid()), l.user); err != nil {
		return err
	}
	if l.engine, err = sandbox.NewDocker(""); err != nil {
		return err
	}
	if _, err := l.engine.Info(ctx); err != nil {
		return fmt.Errorf("%w (run make setup first)", err)
	}
	probe := filepath.Join(l.dir, "probe")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", probe, "github.com/sprawlto/ratchetai-runner/e2e/bench/probe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the probe: %w: %s", err, out)
	}
	init := filepath.Join(l.dir, "sandbox-init")
	if len(images.Init()) == 0 {
		return errors.New("there is no sandbox-init (run make build first)")
	}
	if err := os.WriteFile(init, images.Init(), 0o600); err != nil {
		return err
	}
	return l.bare.makeImage(ctx, l.bare.image, map[string]string{"probe": probe, sandbox.InitPath[1:]: init})
}

func (l *lab) close() {
	defer os.RemoveAll(l.dir)
	if l.engine == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, _ = sandbox.Reap(ctx, l.engine, l.owner(), func(sandbox.Info) bool { return false })
	l.bare.close(ctx)
	_ = l.engine.Close()
}

func (l *lab) owner() string { return "bench-" + l.bare.owner }

// spec is a sandbox of the probe.
func (l *lab) spec(args ...string) (sandbox.Spec, error) {
	state, err := os.MkdirTemp(l.dir, "state-")
	return sandbox.Spec{
		ID: uuid.NewString(), Runner: l.owner(), Image: l.bare.image, Command: append([]string{"/probe"}, args...),
		Dir: "/", User: l.user, State: state,
	}, err
}

// runner returns a runner with a store of its own and a login that makes three
// secrets known, and whose agent is the probe with args; see session.
func (l *lab) runner(args ...string) (*runner.Runner, *probeEngine, error) {
	return newRunner(l.engine, l.dir, args...)
}

func newRunner(engine sandbox.Engine, dir string, args ...string) (*runner.Runner, *probeEngine, error) {
	home, err := os.MkdirTemp(dir, "runner-")
	if err != nil {
		return nil, nil, err
	}
	login := fmt.Sprintf(`{"claudeAiOauth":{"accessToken":"sk-ant-oat01-%s","refreshToken":"sk-ant-ort01-%s","expiresAt":%d,"scopes":["user:inference"],"subscriptionType":"max"},"mcpOAuth":{"x":{"accessToken":"mcp-%s"}}}`,
		strings.Repeat("Ab3-", 20), strings.Repeat("xY9_", 20), time.Now().Add(24*time.Hour).UnixMilli(), uuid.NewString())
	if err := os.Mkdir(filepath.Join(home, ".claude"), 0o700); err != nil {
		return nil, nil, err
	}
	if err := os.WriteFile(filepath.Join(home, ".claude", ".credentials.json"), []byte(login), 0o600); err != nil {
		return nil, nil, err
	}
	store, err := runner.OpenStore(filepath.Join(home, "state"))
	if err != nil {
		return nil, nil, err
	}
	log := logrus.New()
	log.SetLevel(logrus.WarnLevel)
	e := &probeEngine{Engine: engine, args: args}
	return &runner.Runner{Store: store, Engine: e, Log: log, Getenv: func(string) string { return "" }, Home: home}, e, nil
}

// probeTask is a session of the probe in image.
func probeTask(dir, image, user string) (runner.Task, error) {
	workspace, err := os.MkdirTemp(dir, "workspace-")
	return runner.Task{
		Prompt: "go", Kind: agent.Claude, Workspace: workspace, User: user, Image: image,
		Timeout: 10 * time.Minute, Limits: sandbox.Limits{StdoutBytes: 64 << 30},
	}, err
}

// session runs the probe with args in a session of its own to its end and returns
// its result and how its output came.
func (l *lab) session(ctx context.Context, args ...string) (event.SessionFinished, *meter, error) {
	r, e, err := l.runner(args...)
	if err != nil {
		return event.SessionFinished{}, nil, err
	}
	defer os.RemoveAll(r.Home)
	t, err := probeTask(l.dir, l.bare.image, l.user)
	if err != nil {
		return event.SessionFinished{}, nil, err
	}
	s, err := r.Start(ctx, t)
	if err != nil {
		return event.SessionFinished{}, nil, err
	}
	stop := context.AfterFunc(ctx, func() { s.Kill(event.Cancelled, "interrupted") })
	defer stop()
	end := s.Result()
	if end.Outcome != event.Succeeded {
		return end, nil, fmt.Errorf("session %s: %s", end.Outcome, end.Reason)
	}
	return end, e.out.Load(), nil
}

// probeEngine starts the probe where a session wants its agent.
type probeEngine struct {
	sandbox.Engine
	args []string              // empty: the agent itself
	out  atomic.Pointer[meter] // of the last process
}

func (e *probeEngine) Start(ctx context.Context, spec sandbox.Spec) (sandbox.Process, error) {
	if len(e.args) > 0 {
		spec.Command = append([]string{"/probe"}, e.args...)
	}
	p, err := e.Engine.Start(ctx, spec)
	if err != nil {
		return nil, err
	}
	m := &meter{}
	e.out.Store(m)
	return metered{p, io.TeeReader(p.Stdout(), m)}, nil
}

type metered struct {
	sandbox.Process
	out io.Reader
}

func (m metered) Stdout() io.Reader { return m.out }

// meter is a writer that notes how much comes, from when to when.
type meter struct {
	onFirst     func()
	bytes       atomic.Int64
	first, last time.Time
}

func (m *meter) Write(p []byte) (int, error) {
	m.last = time.Now()
	if m.bytes.Add(int64(len(p))) == int64(len(p)) {
		m.first = m.last
		if m.onFirst != nil {
			m.onFirst()
		}
	}
	return len(p), nil
}

// rate is in bytes per second.
func (m *meter) rate() float64 {
	return float64(m.bytes.Load()) / m.last.Sub(m.first).Seconds()
}

var errShort = errors.New("the output is incomplete")

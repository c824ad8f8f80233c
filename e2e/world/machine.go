package world

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/connect"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/sandbox/sandboxtest"
)

// Machine has an engine, a state directory and workspaces; daemons come and go on it.
type Machine struct {
	Name   string
	Way    *Way
	Engine *sandboxtest.Fake
	// Config, if set, changes what the next daemon is made of.
	Config func(*connect.Config)

	w      *World
	id     string // the runner's
	state  string
	work   string
	secret string
	daemon *Daemon
	gone   bool // what is left on it does not count

	mu     sync.Mutex
	active int // agents that work
	most   int // of them at a time
}

// claude is the agent on this machine.
func (m *Machine) claude(ctx context.Context, in sandboxtest.Inside) int {
	m.count(1)
	defer m.count(-1)
	return m.w.claude(ctx, in)
}

func (m *Machine) count(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.active += n
	m.most = max(m.most, m.active)
}

// Most is how many agents ever worked on the machine at a time.
func (m *Machine) Most() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.most
}

// Daemon is one that runs.
type Daemon struct {
	*connect.Daemon
	link   *sandboxtest.Link
	cancel context.CancelFunc
	client *api.Client
	ended  chan struct{} // closed after err is set
	err    error
}

// Enrol gives the machine a device token.
func (m *Machine) Enrol(name string) (err error) {
	m.secret, err = m.w.Plane.token(store.DeviceToken, name)
	return err
}

// Start starts a daemon.
func (m *Machine) Start() *Daemon {
	m.w.Helper()
	if m.daemon != nil {
		m.w.Fatalf("%s has a daemon already", m.Name)
	}
	d, err := m.start()
	if err != nil {
		m.w.Fatal(err)
	}
	m.daemon = d
	m.Way.open(true)
	return d
}

func (m *Machine) start() (*Daemon, error) {
	sessions, err := runner.OpenStore(m.state)
	if err != nil {
		return nil, err
	}
	m.id = sessions.ID()
	client, err := api.NewClient("http://127.0.0.1:1", m.secret, nil)
	if err != nil {
		return nil, err
	}
	client.SetTransport(m.Way)
	engine := &sandboxtest.Link{Engine: m.Engine}
	keys := map[string]string{"ANTHROPIC_API_KEY": "sk-ant-api03-0123456789abcdefghijklmnopqrstuvwxyz"}
	config := connect.Config{
		Client: client, Log: m.w.log, Say: func(string) {}, Name: m.Name, Version: "world", Capacity: 4, OrphanAfter: connect.DefaultOrphanAfter,
		Runner: &runner.Runner{
			Store: sessions, Engine: engine, Log: m.w.log, Home: filepath.Join(m.state, "..", "home"), Getenv: func(k string) string { return keys[k] },
		},
		Workspaces: []connect.Workspace{{Name: "shop", Dir: m.work, Default: true, Shared: true}},
		Task: func(string, agent.Kind) (runner.Task, error) {
			return runner.Task{Workspace: m.work, User: fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid()), Timeout: 7 * 24 * time.Hour, Silence: -1}, nil
		},
		Image: func(_ context.Context, t *runner.Task) error { t.Image = "world"; return nil },
	}
	if m.Config != nil {
		m.Config(&config)
	}
	c, err := connect.New(config)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	d := &Daemon{Daemon: c, link: engine, cancel: cancel, client: client, ended: make(chan struct{})}
	go func() {
		defer close(d.ended)
		d.err = c.Run(ctx)
	}()
	return d, nil
}

// Kill ends the daemon as kill -9 does, as far as that can be had inside of one process: its
// sandboxes work on, and no request of it arrives any more.
func (m *Machine) Kill() {
	m.w.Helper()
	m.Way.open(false)
	m.daemon.link.Cut()
	m.Leave()
}

// Leave ends the daemon; its sessions go on, and so does what it holds of them, in this process.
func (m *Machine) Leave() {
	m.w.Helper()
	m.daemon.cancel()
	_ = m.Wait()
	m.daemon = nil
}

// Wait returns the daemon's error when it has ended.
func (m *Machine) Wait() error {
	m.w.Helper()
	select {
	case <-m.daemon.ended:
	case <-time.After(m.w.Patience):
		m.w.Fatalf("the daemon of %s does not end", m.Name)
	}
	m.daemon.client.Close()
	return m.daemon.err
}

// Journal is the directory of a session's journal.
func (m *Machine) Journal(session string) string { return filepath.Join(m.state, "sessions", session) }

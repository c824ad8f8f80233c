//go:build e2e

package e2e

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
)

// wire is a unix socket in front of the engine's that can be cut.
type wire struct {
	t      *testing.T
	path   string
	engine string

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]bool
}

// newWire stands between b's runner and the engine.
func (b *bundle) newWire() *wire {
	b.t.Helper()
	engine := strings.TrimPrefix(os.Getenv("DOCKER_HOST"), "unix://")
	if engine == "" {
		engine = "/var/run/docker.sock"
	}
	if _, err := os.Stat(engine); err != nil {
		b.t.Skipf("the engine has no socket that could be cut: %v", err)
	}
	dir, err := os.MkdirTemp("", "wire") // a socket's path is short
	if err != nil {
		b.t.Fatal(err)
	}
	w := &wire{t: b.t, path: filepath.Join(dir, "engine.sock"), engine: engine, conns: map[net.Conn]bool{}}
	l, err := net.Listen("unix", w.path)
	if err != nil {
		b.t.Fatal(err)
	}
	var accepting sync.WaitGroup
	accepting.Go(func() { w.serve(l) })
	b.t.Cleanup(func() {
		l.Close()
		w.set(true)
		accepting.Wait()
		os.RemoveAll(dir)
	})
	b.env["DOCKER_HOST"] = "unix://" + w.path
	return w
}

func (w *wire) serve(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		engine, err := net.Dial("unix", w.engine)
		if err != nil || !w.add(client, engine) {
			client.Close()
			if err == nil {
				engine.Close()
			}
			continue
		}
		go w.pipe(client, engine)
		go w.pipe(engine, client)
	}
}

// pipe passes what from sends on, and its end.
func (w *wire) pipe(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.(*net.UnixConn).CloseWrite()
}

// add keeps a pair of connections, unless the wire is cut.
func (w *wire) add(pair ...net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range pair {
		w.conns[c] = true
	}
	return !w.cut
}

// set cuts the wire, with everything that goes through it, or mends it.
func (w *wire) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	if cut {
		for c := range w.conns {
			c.Close()
		}
		clear(w.conns)
	}
}

// TestEngineAway cuts the runner from its engine for 3 s in the middle of a tool,
// as a restart of the engine does. Nothing is lost.
func TestEngineAway(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		text := modelapi.TextBytes(100_000).Text
		b := setup(t, kind,
			modelapi.Shell("for i in 1 2 3 4 5 6; do echo line $i; sleep 1; done"),
			modelapi.Text(text).Slowly(4096, 20*time.Millisecond).With(modelapi.Shell("echo after")),
			modelapi.Text("survived"))
		w := b.newWire()
		c := b.start(b.runArgs()...)
		b.awaitTool("line $i")
		time.Sleep(500 * time.Millisecond)
		w.set(true)
		time.Sleep(3 * time.Second)
		w.set(false)
		r := b.finish(c)
		r.want(t, 0)
		defer func() {
			if t.Failed() {
				t.Log(r.story())
			}
		}()
		id := b.session()
		tools := all[event.ToolFinished](b, id)
		if len(tools) != 2 || strings.Count(tools[0].Output, "line ") != 6 || strings.TrimSpace(tools[1].Output) != "after" {
			t.Errorf("%d tools ran", len(tools))
		}
		n := 0
		for _, m := range all[event.Message](b, id) {
			if m.Text == text {
				n++
			}
		}
		if n != 1 {
			t.Errorf("the text is there %d times", n)
		}
		if end := all[event.SessionFinished](b, id)[0]; end.Result != "survived" {
			t.Errorf("ended %+v", end)
		}
	})
}

// TestEngineGone cuts the runner from its engine for good: it says so within a
// minute and leaves the agent to its work, for an attach when the engine is back.
func TestEngineGone(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind, modelapi.Shell("echo working; sleep 50; echo worked"), modelapi.Text("worked on"))
		w := b.newWire()
		c := b.start(b.runArgs("--timeout", "10m")...)
		b.awaitTool("sleep 50")
		cut := time.Now()
		w.set(true)
		r := b.finish(c)
		r.want(t, 3)
		if took := time.Since(cut); took > time.Minute {
			t.Errorf("said so after %s", took)
		}
		id := b.session()
		if !strings.Contains(r.stderr, "engine does not answer") || !strings.Contains(r.stderr, "attach "+id[len(id)-12:]) {
			t.Errorf("stderr: %s", r.stderr)
		}
		if sum, err := b.store.Summary(id); err != nil || sum.State != runner.Orphaned {
			t.Errorf("the session is %s, %v", sum.State, err)
		}
		w.set(false)
		b.run("sessions", "ls").want(t, 0) // which leaves an agent that works
		b.run("attach", id).want(t, 0)
		if end := all[event.SessionFinished](b, id)[0]; end.Outcome != event.Succeeded || end.Result != "worked on" {
			t.Errorf("ended %+v", end)
		}
	})
}

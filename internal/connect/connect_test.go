package connect

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sirupsen/logrus"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/internal/task"
	"github.com/sprawlto/ratchetai-runner/sandbox/sandboxtest"
)

func hexSum(b []byte) string { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) }

// lab is a machine with an engine, on which daemons come and go.
type lab struct {
	t      *testing.T
	plane  *plane
	state  string
	dir    string
	engine *sandboxtest.Fake
	config func(*Config)
}

// newLab makes a machine whose claude answers every message with what reply returns. An empty
// reply keeps it at work.
func newLab(t *testing.T, reply func(text string) string) *lab {
	l := &lab{t: t, plane: newPlane(t), state: t.TempDir(), dir: t.TempDir()}
	claude := func(_ context.Context, in sandboxtest.Inside) int {
		say := func(format string, a ...any) { fmt.Fprintf(in.Stdout, format+"\n", a...) }
		stdin := bufio.NewReader(in.Stdin)
		for {
			data, err := stdin.ReadBytes('\n')
			if err != nil {
				return 0
			}
			var line map[string]any
			if json.Unmarshal(data, &line) != nil {
				continue
			}
			if line["type"] == "control_request" {
				say(`{"type":"control_response","response":{"subtype":"success","request_id":%q}}`, line["request_id"])
				switch line["request"].(map[string]any)["subtype"] {
				case "end_session":
					return 0
				case "interrupt":
					say(`{"type":"result","subtype":"error_during_execution","is_error":true,"terminal_reason":"aborted_streaming","session_id":"c"}`)
				}
				continue
			}
			text := fmt.Sprint(line["message"].(map[string]any)["content"])
			say(`{"type":"system","subtype":"init","session_id":"c","model":"m","cwd":"/workspace","claude_code_version":"2","tools":[]}`)
			say(`{"type":"user","message":{"role":"user","content":"x"},"uuid":%q,"isReplay":true}`, line["uuid"])
			if r := reply(text); r != "" {
				quoted, _ := json.Marshal(r)
				say(`{"type":"assistant","message":{"id":"m1","role":"assistant","content":[{"type":"text","text":%s}]}}`, quoted)
				say(`{"type":"result","subtype":"success","is_error":false,"result":"done","session_id":"c"}`)
			}
		}
	}
	l.engine = &sandboxtest.Fake{Programs: map[string]sandboxtest.Program{"/opt/ratchetai/claude/claude": claude}}
	return l
}

// daemon is one that runs.
type daemon struct {
	*Daemon
	link  *sandboxtest.Link
	kill  context.CancelFunc
	ended chan error
}

// start starts a daemon on the machine, which ends with the test.
func (l *lab) start() *daemon {
	l.t.Helper()
	store, err := runner.OpenStore(l.state)
	if err != nil {
		l.t.Fatal(err)
	}
	client, err := api.NewClient(l.plane.server.URL, "rt_test", nil)
	if err != nil {
		l.t.Fatal(err)
	}
	log := logrus.New()
	log.SetOutput(io.Discard)
	engine := &sandboxtest.Link{Engine: l.engine}
	r := &runner.Runner{Store: store, Engine: engine, Log: log, Home: l.t.TempDir(), Getenv: func(k string) string {
		return map[string]string{"ANTHROPIC_API_KEY": "sk-ant-api03-0123456789abcdefghijklmnopqrstuvwxyz"}[k]
	}}
	c := Config{
		Client: client, Runner: r, Log: log, Say: func(s string) { l.t.Log(s) }, Name: "nas", Version: "test", Capacity: 4,
		OrphanAfter: time.Hour,
		Workspaces:  []Workspace{{Name: "shop", Dir: l.dir, Default: true, Shared: true}},
		Task: func(string, agent.Kind) (runner.Task, error) {
			return runner.Task{Workspace: l.dir, User: fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid()), Timeout: time.Hour}, nil
		},
		Image: func(_ context.Context, t *runner.Task) error { t.Image = "test"; return nil },
	}
	if l.config != nil {
		l.config(&c)
	}
	d, err := New(c)
	if err != nil {
		l.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	run := &daemon{Daemon: d, link: engine, kill: cancel, ended: make(chan error, 1)}
	go func() { run.ended <- d.Run(ctx) }()
	l.t.Cleanup(func() {
		cancel()
		_ = l.wait(run)
		client.Close()
	})
	return run
}

func (l *lab) wait(d *daemon) error {
	l.t.Helper()
	select {
	case err := <-d.ended:
		d.ended <- err
		return err
	case <-time.After(60 * time.Second):
		l.t.Fatal("the daemon does not end")
		panic("unreachable")
	}
}

// complete checks that the control plane has the session's journal, event for event.
func (l *lab) complete(id string) {
	l.t.Helper()
	l.plane.mu.Lock()
	defer l.plane.mu.Unlock()
	h, n := l.plane.sessions[id], 0
	for e, err := range journal.Read(l.state+"/sessions/"+id, 1) {
		if err != nil {
			l.t.Fatal(err)
		}
		if n >= len(h.events) {
			l.t.Fatalf("event %d is missing", e.Seq)
		}
		got := h.events[n]
		n++
		raw := []byte(got.Raw)
		if got.RawBytes != nil {
			raw = got.RawBytes
		}
		if got.RawRef != nil {
			raw = h.artifacts[got.RawRef.Artifact]
			if got.RawRef.SHA256 != hexSum(raw) {
				l.t.Errorf("event %d: the hash is wrong", e.Seq)
			}
		}
		if got.Seq != e.Seq || got.Type != e.Type || string(got.Data) != string(e.Data) || string(raw) != string(e.Raw) || !got.Time.Equal(e.Time) {
			l.t.Errorf("event %d: got %s %.200s %.200s, want %s %.200s %.200s", e.Seq, got.Type, got.Data, raw, e.Type, e.Data, e.Raw)
		}
	}
	if n != len(h.events) {
		l.t.Errorf("%d events, the journal has %d", len(h.events), n)
	}
}

// forgotten waits until nothing is left of the leases.
func (l *lab) forgotten(d *daemon) {
	l.t.Helper()
	l.plane.until("the leases are forgotten", func() bool {
		all, err := d.book.load()
		return len(l.plane.last.Sessions) == 0 && err == nil && len(all) == 0 && len(d.all()) == 0
	})
}

func hello(string) string { return "hello" }

func TestTaskRuns(t *testing.T) {
	t.Parallel()
	l := newLab(t, hello)
	d := l.start()
	id := l.plane.offer(task.Spec{Workspace: "shop"})
	if end := l.plane.end(id); end.Outcome != event.Succeeded || end.Result != "done" {
		t.Errorf("ended %+v", end)
	}
	l.forgotten(d)
	l.complete(id)
	d.Drain(false)
	if err := l.wait(d); err != nil {
		t.Error(err)
	}
}

func TestDeclined(t *testing.T) {
	t.Parallel()
	l := newLab(t, hello)
	d := l.start()
	id := l.plane.offer(task.Spec{Workspace: "other"})
	l.plane.untilState(id, task.Declined)
	if got := l.plane.sessions[id].reason; got != `has no workspace "other"` {
		t.Errorf("reason %q", got)
	}
	l.forgotten(d)
}

// TestAdopted: a daemon goes, its session works on, the next one takes it over.
func TestAdopted(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(text string) string {
		if strings.Contains(text, "now") {
			return "ended"
		}
		return ""
	})
	d := l.start()
	id := l.plane.offer(task.Spec{})
	l.plane.until("the agent works", func() bool { return strings.Contains(l.plane.types(id), "session.started") })
	l.crash(d)
	next := l.start()
	l.plane.command(id, api.Command{Kind: api.CommandMessage, Text: "now"})
	if end := l.plane.end(id); end.Outcome != event.Succeeded {
		t.Errorf("ended %+v", end)
	}
	l.forgotten(next)
	l.complete(id)
}

// TestLongLines: a line beyond what a batch holds goes as an artifact.
func TestLongLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("äöü ", 300_000)
	l := newLab(t, func(string) string { return long })
	d := l.start()
	id := l.plane.offer(task.Spec{})
	if end := l.plane.end(id); end.Outcome != event.Succeeded {
		t.Errorf("ended %+v", end)
	}
	l.forgotten(d)
	l.complete(id)
	if n := len(l.plane.sessions[id].artifacts); n != 1 {
		t.Errorf("%d artifacts", n)
	}
}

func TestCommandsArrive(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(text string) string {
		if strings.Contains(text, "now") {
			return "ended"
		}
		return ""
	})
	d := l.start()
	id := l.plane.offer(task.Spec{})
	hint := uuid.NewString()
	l.plane.command(id, api.Command{ID: hint, Kind: api.CommandMessage, Text: "a hint", Priority: "later"})
	l.plane.command(id, api.Command{Kind: "dance"})
	l.plane.until("both are acknowledged", func() bool { return l.plane.sessions[id].acked == 2 })
	l.plane.command(id, api.Command{Kind: api.CommandMessage, Text: "now"})
	if end := l.plane.end(id); end.Outcome != event.Succeeded {
		t.Errorf("ended %+v", end)
	}
	l.forgotten(d)
	l.complete(id)
	if got := l.plane.types(id); strings.Count(got, "command.failed") != 1 {
		t.Errorf("events %s", got)
	}
}

// TestEndedFromElsewhere: by a person, by the control plane, before and while the agent runs.
func TestEndedFromElsewhere(t *testing.T) {
	t.Parallel()
	never := func(ctx context.Context, _ *runner.Task) error { <-ctx.Done(); return context.Cause(ctx) }
	for name, test := range map[string]struct {
		early  bool
		end    func(p *plane, id string)
		want   event.Outcome
		reason string
	}{
		"a person cancels": {false, func(p *plane, id string) {
			p.command(id, api.Command{Kind: api.CommandCancel, Text: "not wanted"})
		}, event.Cancelled, "not wanted"},
		"a person cancels early": {true, func(p *plane, id string) {
			p.command(id, api.Command{Kind: api.CommandCancel})
		}, event.Cancelled, "cancelled by owner"},
		"the deadline": {false, func(p *plane, id string) {
			p.set(func() { p.sessions[id].stop = &api.Stop{Session: id, Outcome: event.TimedOut, Reason: "too late"} })
		}, event.TimedOut, "too late"},
		"the deadline, early": {true, func(p *plane, id string) {
			p.set(func() { p.sessions[id].stop = &api.Stop{Session: id, Outcome: event.TimedOut, Reason: "too late"} })
		}, event.TimedOut, "too late"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, func(string) string { return "" })
			state := task.Active
			if test.early {
				l.config = func(c *Config) { c.Image = never }
				state = task.Accepted
			}
			d := l.start()
			id := l.plane.offer(task.Spec{})
			l.plane.untilState(id, state)
			test.end(l.plane, id)
			if end := l.plane.end(id); end.Outcome != test.want || end.Reason != test.reason {
				t.Errorf("ended %+v", end)
			}
			l.forgotten(d)
			l.complete(id)
		})
	}
}

// TestFenced: a session whose lease is lost is ended, and its journal stays.
func TestFenced(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(string) string { return "" })
	d := l.start()
	id := l.plane.offer(task.Spec{})
	l.plane.untilState(id, task.Active)
	l.plane.set(func() { l.plane.sessions[id].fenced = true })
	l.forgotten(d)
	sum, err := d.book.store.Summary(id)
	if err != nil || sum.End == nil || sum.End.Outcome != event.Errored {
		t.Errorf("the session is %+v, %v", sum, err)
	}
}

// TestRevoked: a daemon that the control plane refuses lets its session end and ends; another
// one, with a new token, uploads what is missing.
func TestRevoked(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	l := newLab(t, func(string) string { <-release; return "hello" })
	var knows, fed atomic.Bool
	l.config = func(c *Config) {
		c.Notify = func(s string) { fed.Store(fed.Load() || knows.Load() && s == "WATCHDOG=1") }
	}
	d := l.start()
	id := l.plane.offer(task.Spec{})
	l.plane.untilState(id, task.Active)
	l.plane.set(func() { l.plane.revoked = true })
	l.plane.until("the daemon knows", func() bool { _, _, err := d.standing(); return err != nil })
	knows.Store(true)
	d.change() // or a minute later
	l.plane.until("the watchdog is fed", fed.Load)
	close(release)
	if err := l.wait(d); !errors.Is(err, ErrRefused) {
		t.Errorf("ended with %v", err)
	}
	if sum, err := d.book.store.Summary(id); err != nil || sum.End == nil || sum.End.Outcome != event.Succeeded {
		t.Errorf("the session is %+v, %v", sum, err)
	}
	l.plane.set(func() { l.plane.revoked = false })
	next := l.start()
	if end := l.plane.end(id); end.Outcome != event.Succeeded {
		t.Errorf("ended %+v", end)
	}
	l.forgotten(next)
	l.complete(id)
}

// TestDrain: the first signal lets sessions end, the second ends them.
func TestDrain(t *testing.T) {
	t.Parallel()
	t.Run("finish", func(t *testing.T) {
		t.Parallel()
		release := make(chan struct{})
		l := newLab(t, func(string) string { <-release; return "hello" })
		d := l.start()
		id := l.plane.offer(task.Spec{})
		l.plane.untilState(id, task.Active)
		d.Drain(false)
		l.plane.until("it is draining", func() bool { return !l.plane.last.Health.Ready })
		late := l.plane.offer(task.Spec{})
		l.plane.untilState(late, task.Returned)
		close(release)
		if err := l.wait(d); err != nil {
			t.Error(err)
		}
		if end := l.plane.end(id); end.Outcome != event.Succeeded {
			t.Errorf("ended %+v", end)
		}
	})
	t.Run("hand back", func(t *testing.T) {
		t.Parallel()
		l := newLab(t, hello)
		l.config = func(c *Config) {
			c.Image = func(ctx context.Context, _ *runner.Task) error { <-ctx.Done(); return context.Cause(ctx) }
		}
		d := l.start()
		id := l.plane.offer(task.Spec{})
		l.plane.untilState(id, task.Accepted)
		d.Drain(true)
		l.plane.untilState(id, task.Returned)
		if err := l.wait(d); err != nil {
			t.Error(err)
		}
	})
	t.Run("stop", func(t *testing.T) {
		t.Parallel()
		l := newLab(t, func(string) string { return "" })
		d := l.start()
		id := l.plane.offer(task.Spec{})
		l.plane.untilState(id, task.Active)
		d.Stop()
		if end := l.plane.end(id); end.Outcome != event.Errored || end.Reason != stopped.Reason {
			t.Errorf("ended %+v", end)
		}
		if err := l.wait(d); err != nil {
			t.Error(err)
		}
	})
}

func TestHooks(t *testing.T) {
	t.Parallel()
	l := newLab(t, hello)
	l.config = func(c *Config) {
		c.Hooks = Hooks{HookTimeout: 20 * time.Second,
			HookBefore: `echo "for $RATCHET_TITLE in $RATCHET_WORKSPACE"; test "$RATCHET_TITLE" != refused || { echo no; exit 3; }; pwd >before`,
			HookAfter:  `echo $RATCHET_SESSION $RATCHET_OUTCOME >>after`,
		}
	}
	d := l.start()
	good := l.plane.offer(task.Spec{Title: "good", Workspace: "shop"})
	bad := l.plane.offer(task.Spec{Title: "refused"})
	if end := l.plane.end(good); end.Outcome != event.Succeeded {
		t.Errorf("ended %+v", end)
	}
	if end := l.plane.end(bad); end.Outcome != event.Errored || end.Reason != "the hook before the session failed: exit status 3: no" {
		t.Errorf("ended %+v", end)
	}
	l.forgotten(d)
	l.complete(good)
	l.complete(bad)
	for id, want := range map[string]string{good: "hook before: for good in shop", bad: "hook before: for refused in"} {
		found := slices.ContainsFunc(l.plane.sessions[id].events, func(e api.Event) bool { return e.Type == "notice" && strings.Contains(string(e.Data), want) })
		if !found {
			t.Errorf("no event says %q", want)
		}
	}
	after, err := os.ReadFile(l.dir + "/after")
	if err != nil || !strings.Contains(string(after), good+" succeeded\n") || !strings.Contains(string(after), bad+" errored\n") {
		t.Errorf("the hook after wrote %q, %v", after, err)
	}
}

// TestOneDaemon: two would chase each other away.
func TestOneDaemon(t *testing.T) {
	t.Parallel()
	l := newLab(t, hello)
	l.start()
	l.plane.until("the first is there", func() bool { return l.plane.syncs > 0 })
	if err := l.wait(l.start()); !errors.Is(err, ErrInUse) {
		t.Errorf("the second ended with %v", err)
	}
}

// crash ends a daemon as kill -9 does, as far as that can be had inside of one process.
func (l *lab) crash(d *daemon) {
	l.t.Helper()
	d.link.Cut()
	d.kill()
	if err := l.wait(d); err != nil {
		l.t.Error(err)
	}
}

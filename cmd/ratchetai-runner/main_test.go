package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){name: main})
}

// The scripts run the real main, with everything that needs no engine.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("RATCHETAI_STATE_DIR", filepath.Join(e.WorkDir, "state"))
			p := newPlane()
			e.Defer(p.Close)
			e.Values[planeKey{}] = p
			e.Setenv("PLANE", p.URL)
			e.Setenv("HTTPS", strings.Replace(p.URL, "http:", "https:", 1))
			other, secure := httptest.NewServer(http.NotFoundHandler()), httptest.NewTLSServer(p)
			secure.Config.ErrorLog = log.New(io.Discard, "", 0)
			e.Defer(other.Close)
			e.Defer(secure.Close)
			e.Setenv("NOPLANE", other.URL)
			e.Setenv("TLS", secure.URL)
			e.Setenv("DOCKER_HOST", "unix://"+filepath.Join(e.WorkDir, "no-engine.sock"))
			for _, dir := range []string{"home", "ws"} {
				if err := os.Mkdir(filepath.Join(e.WorkDir, dir), 0o755); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   exits,
			"session": writeSession,
			"await":   await,
			"plane":   planeCmd(func(ts *testscript.TestScript) *plane { return ts.Value(planeKey{}).(*plane) }),
		},
	})
}

// planeKey is where a script's control plane is kept.
type planeKey struct{}

// exits CODE ARGS... runs the program and checks its exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE ARGS...")
	}
	code := 0
	var exit *exec.ExitError
	if err := ts.Exec(name, args[1:]...); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if want, _ := strconv.Atoi(args[0]); code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

// awaitMax is more than a program that starts needs on a busy machine.
const awaitMax = 30 * time.Second

// await REGEXP ARGS... runs the program until its stdout matches.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: await REGEXP ARGS...")
	}
	want := regexp.MustCompile("(?m)" + args[0])
	for end := time.Now().Add(awaitMax); ; time.Sleep(50 * time.Millisecond) {
		err := ts.Exec(name, args[1:]...)
		if out := ts.ReadFile("stdout"); want.MatchString(out) {
			return
		} else if time.Now().After(end) {
			ts.Fatalf("%v, and at last:\n%s%s", err, out, ts.ReadFile("stderr"))
		}
	}
}

// session ID OUTCOME writes a session into the store; without an outcome it has
// no end.
func writeSession(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: session ID [OUTCOME]")
	}
	outcome := event.Outcome("")
	if len(args) > 1 {
		outcome = event.Outcome(args[1])
	}
	ts.Check(storeSession(ts.Getenv("RATCHETAI_STATE_DIR"), args[0], ts.MkAbs("ws"), events(outcome)...))
}

func events(outcome event.Outcome) []event.Data {
	list := []event.Data{
		event.CommandQueued{Command: "c1", Kind: "message", Text: "write a poem"},
		event.SessionStarted{Agent: "claude", Version: "2.1.330", Model: "opus"},
		event.CommandConsumed{Command: "c1"},
		event.TurnStarted{},
		event.MessageDelta{ID: "m", Text: "Roses \x1b[31mare"},
		event.MessageDelta{ID: "m", Text: " red."},
		event.Message{ID: "m", Role: "assistant", Text: "Roses \x1b[31mare red."},
		event.ToolStarted{Call: "t", Name: "Bash", Kind: event.KindShell, Title: "make poem"},
		event.ToolFinished{Call: "t", OK: true, DurationMS: 1200},
		event.EgressDenied{Host: "evil.example", Port: 443, Reason: "egress to evil.example:443 is not allowed; allow it with --allow-host evil.example:443"},
	}
	if outcome != "" {
		usage := &event.Usage{InputTokens: 1500, OutputTokens: 500, CostMicroUSD: 42000}
		list = append(list, event.SessionFinished{Outcome: outcome, Reason: map[bool]string{false: "because"}[outcome == event.Succeeded],
			Result: "Roses \x1b[31mare red.", Usage: usage, DurationMS: 65000})
	}
	return list
}

// storeSession writes what a runner would have.
func storeSession(root, id, workspace string, list ...event.Data) error {
	dir := filepath.Join(root, "sessions", id)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	now := time.Now().UTC()
	rec := runner.Record{
		ID: id, Title: "write a poem", Created: now.Add(-5 * time.Minute), Workspace: workspace, User: "1000:1000",
		Agent: agent.Options{Kind: agent.Claude}, Deadline: now.Add(time.Hour), Allow: []string{"packages"},
	}
	data, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "session.json"), data, 0o600); err != nil {
		return err
	}
	j, err := journal.Open(dir, id)
	if err != nil {
		return err
	}
	for i, d := range list {
		if end, ok := d.(event.SessionFinished); ok {
			if data, err = json.Marshal(end); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, "result.json"), data, 0o600); err != nil {
				return err
			}
		}
		if err := appendEvent(j, now.Add(time.Duration(i)*time.Second), d); err != nil {
			return err
		}
	}
	return j.Close()
}

func appendEvent(j *journal.Journal, at time.Time, d event.Data) error {
	data, err := json.Marshal(d)
	if err != nil {
		return err
	}
	_, err = j.Append(journal.Entry{Time: at, Type: string(d.EventType()), Data: data})
	if err != nil {
		return fmt.Errorf("append %s: %w", d.EventType(), err)
	}
	return nil
}

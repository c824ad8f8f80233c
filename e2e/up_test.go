//go:build e2e

package e2e

import (
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
)

// up returns what starts a control plane and a runner for b, on an address that is
// the same each time.
func (b *bundle) up() (url string, start func() *child) {
	b.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	return "http://" + address, func() *child {
		c := b.start("up", "--listen", address, "--workspace", "project="+b.ws, "--credentials", "env",
			"--env", b.baseVar()+"="+b.baseURL(), "--allow-host", gateway(b.api.URL()), "--timeout", sessionMax.String())
		b.t.Cleanup(func() {
			_ = c.Process.Kill()
			_ = c.Wait()
			if b.t.Failed() {
				b.t.Logf("up said:\n%s", &c.stderr)
			}
		})
		for end := time.Now().Add(sessionMax); ; time.Sleep(50 * time.Millisecond) {
			if r := b.run("runner", "ls"); r.code == 0 && strings.Contains(r.stdout, " ready ") {
				return c
			} else if time.Now().After(end) {
				b.t.Fatalf("up has no runner: %s%s\n%s", r.stdout, r.stderr, &c.stderr)
			}
		}
	}
}

// await waits until text is on the screen.
func (s *terminal) await(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(sessionMax); !strings.Contains(s.shown(), text); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%q is not shown: …%q", text, s.shown()[max(0, len(s.shown())-1000):])
		}
	}
}

// TestFollow follows a task of up at a terminal: one ask is answered there, one from
// elsewhere, then up is killed and started again while a tool runs, and what is typed
// after that reaches the agent, once. Nothing is shown twice.
func TestFollow(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind,
			modelapi.Text("foremost").With(modelapi.Shell("echo one >one.txt")),
			modelapi.Shell("echo begun; sleep 12; echo two >two.txt"),
			modelapi.Text("hindmost"))
		url, start := b.up()
		first := start()
		c, screen := b.startTerminal("task", "add", "--follow", "--model", string(kind), "--permissions", "ask", "--prompt", "Do what the script says.")
		b.awaitAsk(1)
		screen.awaitPrompt(t, 0)
		screen.press(t, "y\r")
		b.awaitAsk(2)
		id := b.session()
		for end := time.Now().Add(sessionMax); b.run("answer", id, "allow").code != 0; time.Sleep(100 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the second ask is not in the inbox")
			}
		}
		b.awaitTool("echo begun")
		first.signal(syscall.SIGKILL)
		_ = first.Wait()
		second := start()
		screen.await(t, "allowed: echo begun") // it has caught up
		screen.press(t, "mind the typed line\r")
		b.await(func(e journal.Entry) bool { return e.Type == string(event.TypeSessionFinished) })
		if r := b.finish(c); r.code != 0 {
			t.Fatalf("exit code %d: %s", r.code, screen.shown())
		}
		<-screen.done
		shown := screen.shown()
		for _, text := range []string{"foremost", "hindmost", "trying again", "succeeded"} {
			if n := strings.Count(shown, text); n != 1 {
				t.Errorf("%q is shown %d times: …%q", text, n, shown[max(0, len(shown)-3000):])
			}
		}
		if n := b.said("mind the typed line"); n != 1 {
			t.Errorf("the model read what was typed %d times", n)
		}
		if b.read("one.txt") != "one\n" {
			t.Error("what was allowed was not done")
		}
		here := b.run("logs", "--json", id)
		far := b.run("logs", "--json", id, "--url", url)
		if far.code != 0 || here.stdout != far.stdout {
			t.Errorf("the control plane has other events (%d bytes) than the runner (%d): %s", len(far.stdout), len(here.stdout), far.stderr)
		}
		second.signal(syscall.SIGINT)
		if r := b.finish(second); r.code != 0 {
			t.Errorf("up ended with %d: %s", r.code, r.stderr)
		}
	})
}

//go:build e2e

package e2e

import (
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// say is a shell command that prints text as a line of the agent's own.
func say(kind agent.Kind, text string) string {
	return "printf '%s\\n' '" + text + "' >/proc/$(pgrep -ox " + string(kind) + ")/fd/1\n"
}

// TestSilence has a reply that never goes on.
func TestSilence(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind, modelapi.Hang(time.Minute).Repeat(-1))
		r := b.run(b.runArgs("--silence", "4s")...)
		r.want(t, 1)
		end := all[event.SessionFinished](b, b.session())[0]
		if end.Outcome != event.Stalled || !strings.Contains(end.Reason, "4s") {
			t.Errorf("ended %+v", end)
		}
	})
}

// TestHangAfterResult stops the real agent just after a result: it is ended by
// force, and the result counts.
func TestHangAfterResult(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		result := say(kind, `{"type":"result","subtype":"success","is_error":false,"result":"said before"}`) +
			say(kind, `{"type":"system","subtype":"session_state_changed","state":"idle"}`)
		if kind == agent.Codex {
			result = `t=$(grep -o '"method":"turn/started".*' /run/ratchetai/stdout | grep -o '"turn":{"id":"[^"]*' | tail -1 | cut -d'"' -f6)
				printf '{"method":"turn/completed","params":{"turn":{"id":"%s","status":"completed"}}}\n' "$t" >/proc/$(pgrep -ox codex)/fd/1`
		}
		b := setup(t, kind, modelapi.Shell("kill -STOP $(pgrep -ox "+string(kind)+")\n"+result), modelapi.Text("not reached"))
		r := b.run(b.runArgs()...)
		r.want(t, 0)
		if end := all[event.SessionFinished](b, b.session())[0]; end.Outcome != event.Succeeded || end.ExitCode == nil || *end.ExitCode != 137 {
			t.Errorf("ended %+v", end)
		}
	})
}

// TestTwoResults has a result that is not the last: the last one counts.
func TestTwoResults(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		early := say(kind, `{"type":"result","subtype":"success","is_error":false,"result":"too early"}`)
		if kind == agent.Codex {
			early = say(kind, `{"method":"turn/completed","params":{"turn":{"id":"another","status":"completed"}}}`)
		}
		b := setup(t, kind, modelapi.Shell(early+"sleep 1"), modelapi.HTTPError(400).Repeat(-1))
		b.run(b.runArgs()...).want(t, 1)
		id := b.session()
		if end := all[event.SessionFinished](b, id)[0]; end.Outcome != event.Failed {
			t.Errorf("ended %+v", end)
		}
		if n := len(all[event.TurnFinished](b, id)); n != 2 {
			t.Errorf("%d results", n)
		}
	})
}

// TestOutOfMemory has the kernel kill the real agent: of many processes that use up
// the memory, all as likely to be killed, it is the largest.
func TestOutOfMemory(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind, modelapi.Shell("sh eat.sh"), modelapi.Text("not reached"))
		b.write("eat.sh", "echo 1000 >/proc/$(pgrep -ox "+string(kind)+`)/oom_score_adj
			for i in $(seq 130); do (x=$(head -c 10M /dev/zero | tr '\0' x); sleep 60) & done
			sleep 60`)
		b.run(b.runArgs("--memory", "1GiB", "--processes", "2000")...).want(t, 1)
		if end := all[event.SessionFinished](b, b.session())[0]; end.Outcome != event.Failed || !strings.Contains(end.Reason, "memory") {
			t.Errorf("ended %+v", end)
		}
	})
}

// TestFlood writes more into the agent's stdout than a session may.
func TestFlood(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind, modelapi.Shell("yes x >/proc/$(pgrep -ox "+string(kind)+")/fd/1"), modelapi.Text("not reached"))
		b.run(b.runArgs("--max-output", "4MiB")...).want(t, 1)
		if end := all[event.SessionFinished](b, b.session())[0]; end.Outcome != event.Failed || !strings.Contains(end.Reason, "output") {
			t.Errorf("ended %+v", end)
		}
	})
}

// TestDiskNearlyFull fills the disk that sessions are kept on, from inside.
func TestDiskNearlyFull(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind, modelapi.Shell("head -c 80M /dev/zero >~/fill; sleep 60"), modelapi.Text("not reached"))
		b.disk("120m")
		b.run(b.runArgs()...).want(t, 3)
		if end := all[event.SessionFinished](b, b.session())[0]; end.Outcome != event.Errored || !strings.Contains(end.Reason, "nearly full") {
			t.Errorf("ended %+v", end)
		}
		r := b.run(b.runArgs()...)
		r.want(t, 3)
		if !strings.Contains(r.stderr, "nearly full") || len(b.sessions()) != 1 {
			t.Errorf("%d sessions, stderr: %s", len(b.sessions()), r.stderr)
		}
	})
}

// disk puts b's sessions on a disk of that size.
func (b *bundle) disk(size string) {
	b.t.Helper()
	dir := filepath.Join(b.base, "state", "sessions")
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size+",mode=700"); err != nil {
		b.t.Skipf("a small disk needs root: %v", err)
	}
	b.t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
}

// TestLimitWarning is a usage window that is nearly used up: the session goes on.
func TestLimitWarning(t *testing.T) {
	reset := strconv.FormatInt(time.Now().Add(3*time.Hour).Unix(), 10)
	header := http.Header{
		"Anthropic-Ratelimit-Unified-Status":               {"allowed_warning"},
		"Anthropic-Ratelimit-Unified-Reset":                {reset},
		"Anthropic-Ratelimit-Unified-Representative-Claim": {"five_hour"},
		"Anthropic-Ratelimit-Unified-5h-Utilization":       {"0.93"},
		"Anthropic-Ratelimit-Unified-5h-Reset":             {reset},
		"X-Codex-Primary-Used-Percent":                     {"93"},
		"X-Codex-Primary-Window-Minutes":                   {"300"},
		"X-Codex-Primary-Reset-At":                         {reset},
	}
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		warn := modelapi.Shell("echo worked")
		warn.Header = header
		last := modelapi.Text("done")
		last.Header = header
		b := setup(t, kind, warn, last)
		b.run(b.runArgs()...).want(t, 0)
		id := b.session()
		limits := all[event.LimitUpdated](b, id)
		if len(limits) == 0 || limits[0].ResetsAt == "" || limits[0].Status == "rejected" {
			t.Errorf("limits %+v", limits)
		}
		if end := all[event.SessionFinished](b, id)[0]; end.Outcome != event.Succeeded || end.Result != "done" {
			t.Errorf("ended %+v", end)
		}
	})
}

//go:build e2e

package e2e

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// TestConversationContinues resumes a conversation twice, forks it, and forks a
// copy of its session's directory: the model hears each time what was said before.
func TestConversationContinues(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind, modelapi.Shell("echo from the tool >made.txt; cat made.txt"), modelapi.Text("first answer"))
		b.run(b.runArgs("--prompt", "first question")...).want(t, 0)
		first := b.session()

		second := b.goOn("second", 0, "--resume", first)
		b.heard("first question", "from the tool", "first answer", "second question")
		third := b.goOn("third", 0, "--resume", second)
		b.heard("first answer", "second answer", "third question")
		forked := b.goOn("forked", 0, "--fork", second)
		b.heard("first answer", "second answer", "forked question")
		if b.said("third question") > 0 {
			t.Error("the fork knows what was said in the original")
		}
		copied := filepath.Join(b.base, "copied")
		if out, err := exec.Command("cp", "-r", b.store.Journal(third), copied).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		b.run("sessions", "rm", third).want(t, 0)
		elsewhere := b.goOn("elsewhere", 0, "--resume", copied)
		b.heard("first answer", "third answer", "elsewhere question")

		conversation := b.conversation(first)
		for id, same := range map[string]bool{second: true, elsewhere: true, forked: false} {
			if got := b.conversation(id); (got == conversation) != same {
				t.Errorf("conversation %s goes on as %s", conversation, got)
			}
			usage := all[event.SessionFinished](b, id)[0].Usage
			if usage == nil || usage.InputTokens != 1000 || usage.OutputTokens != 50 || usage.Replies != 1 {
				t.Errorf("session %s used %+v, want one request of 1000 and 50 tokens", id, usage)
			}
		}
	})
}

// goOn runs a session that continues another and returns its id.
func (b *bundle) goOn(name string, code int, flags ...string) string {
	b.t.Helper()
	known := map[string]bool{}
	for _, id := range b.sessions() {
		known[id] = true
	}
	b.api.Script(b.token, modelapi.Text(name+" answer"))
	// A conversation keeps the script that it began with, and so its token's.
	r := b.run(b.runArgs(append(flags, "--prompt", name+" question")...)...)
	r.want(b.t, code)
	for _, id := range b.sessions() {
		if !known[id] {
			if end := all[event.SessionFinished](b, id)[0]; end.Result != name+" answer" {
				b.t.Errorf("%s ended %+v", name, end)
			}
			return id
		}
	}
	b.t.Fatal("no new session")
	return ""
}

// heard checks that the last request of the conversation holds every text.
func (b *bundle) heard(texts ...string) {
	b.t.Helper()
	for _, text := range texts {
		if b.said(text) == 0 {
			b.t.Errorf("the model did not hear %q", text)
		}
	}
}

func (b *bundle) conversation(id string) string {
	b.t.Helper()
	return all[event.SessionStarted](b, id)[0].Conversation
}

// TestConversationAfterKill kills the agent and everything around it with -9 in
// the middle of a tool, and resumes.
func TestConversationAfterKill(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind, modelapi.Text("I begin.").With(modelapi.Shell("echo working; sleep 60")), modelapi.Text("not reached"))
		c := b.start(b.runArgs("--prompt", "first question")...)
		b.awaitTool("sleep 60")
		first := b.session()
		b.awaitTranscript(first, "sleep 60")
		_ = c.Process.Kill()
		_ = c.Wait()
		r := b.run(b.runArgs("--resume", first)...)
		r.want(t, 2)
		if !strings.Contains(r.stderr, "orphaned") {
			t.Errorf("stderr: %s", r.stderr)
		}
		for _, container := range b.containers() {
			if out, err := exec.Command("docker", "kill", container.ID).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		b.goOn("second", 0, "--resume", first)
		b.heard("first question", "second question")
	})
}

// awaitTranscript waits until the agent has written text down, which it does a
// moment after it has printed it.
func (b *bundle) awaitTranscript(id, text string) {
	b.t.Helper()
	home := filepath.Join(b.store.Journal(id), "home")
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		found := false
		_ = filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".jsonl") {
				data, _ := os.ReadFile(path)
				found = found || strings.Contains(string(data), text)
			}
			return nil
		})
		if found {
			return
		}
		if time.Now().After(end) {
			b.t.Fatalf("no transcript holds %q", text)
		}
	}
}

// TestConversationRefused is what cannot be continued.
func TestConversationRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, agent.Claude, modelapi.Text("hello"))
	b.run(b.runArgs()...).want(t, 0)
	id := b.session()
	for says, flags := range map[string][]string{
		"no such session": {"--resume", "nonesuch"},
		"cannot continue": {"--resume", id, "--model", "codex"},
		"exclude":         {"--resume", id, "--fork", id},
	} {
		r := b.run(b.runArgs(flags...)...)
		r.want(t, 2)
		if !strings.Contains(r.stderr, says) {
			t.Errorf("stderr does not say %q: %s", says, r.stderr)
		}
	}
	if n := len(b.sessions()); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

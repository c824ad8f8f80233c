package runner

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// transcript is where the session's agent would keep its conversation.
func (b *bundle) transcript(t *testing.T, s *Session) string {
	t.Helper()
	dir := filepath.Join(b.Store.dir(s.ID), "home", s.Agent.Kind.Transcripts(), "-workspace")
	if err := os.MkdirAll(filepath.Join(dir, "memory"), 0o700); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, s.Agent.Conversation+".jsonl")
}

func TestOriginCarriesTranscriptsOnly(t *testing.T) {
	t.Parallel()
	b := setup(t, answer("hello"))
	s, _ := b.run(t)
	if _, err := b.Store.Origin(s.ID); !errors.Is(err, ErrNoConversation) {
		t.Fatalf("without a transcript: %v", err)
	}
	file := b.transcript(t, s)
	home := filepath.Join(b.Store.dir(s.ID), "home")
	for name, text := range map[string]string{
		file: "said\n", filepath.Join(filepath.Dir(file), "memory", "note.md"): "note", filepath.Join(home, ".claude", "settings.json"): "{}",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	secret := filepath.Join(t.TempDir(), "secret")
	err := errors.Join(os.WriteFile(secret, []byte("x"), 0o600), os.Symlink(secret, filepath.Join(filepath.Dir(file), "link.jsonl")),
		os.Symlink(filepath.Dir(secret), filepath.Join(filepath.Dir(file), "dir")),
		syscall.Mkfifo(filepath.Join(filepath.Dir(file), "pipe.jsonl"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	for _, fork := range []bool{false, true} {
		o, err := b.Store.Origin(s.ID)
		if err != nil {
			t.Fatal(err)
		}
		b.task.Origin, b.task.Fork = o, fork
		next, end := b.run(t)
		if end.Outcome != event.Succeeded || next.Continues != s.ID || next.Agent.Resume != s.Agent.Conversation || next.Agent.Fork != fork {
			t.Errorf("continued as %+v, ended %+v", next.Record, end)
		}
		if same := next.Agent.Conversation == s.Agent.Conversation; same == fork {
			t.Errorf("conversation %s goes on as %s", s.Agent.Conversation, next.Agent.Conversation)
		}
		var got []string
		top := filepath.Join(b.Store.dir(next.ID), "home") // with every session's own settings of git in it
		filepath.Walk(top, func(path string, info os.FileInfo, err error) error {
			if err == nil && info.Mode().IsRegular() && !strings.HasPrefix(path, filepath.Join(top, ".config")) {
				got = append(got, strings.TrimPrefix(path, top))
			}
			return err
		})
		want := []string{"/.claude/projects/-workspace/" + s.Agent.Conversation + ".jsonl", "/.claude/projects/-workspace/memory/note.md"}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("the new home has %q, want %q", got, want)
		}
	}
}

func TestOriginRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t, func(map[string]any, func(string)) bool { return true })
	s, err := b.Start(t.Context(), b.task)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Store.Origin(s.ID); !errors.Is(err, ErrBusy) {
		t.Errorf("a running session: %v", err)
	}
	if _, err := b.Store.Origin(b.Store.dir(s.ID)); !errors.Is(err, ErrBusy) {
		t.Errorf("its directory: %v", err)
	}
	if _, err := b.Store.Origin("nonesuch"); !errors.Is(err, ErrNoSession) {
		t.Errorf("no session: %v", err)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	if out, err := exec.Command("cp", "-r", b.Store.dir(s.ID), copied).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if _, err := b.Store.Origin(copied); !errors.Is(err, ErrNoConversation) {
		t.Errorf("a copy without a transcript: %v", err)
	}
	s.Kill(event.Cancelled, "enough")
	waitFor(t, s)
	for _, record := range []string{"{", "{}", `{"id":"../x","agent":{"kind":"claude"}}`, `{"id":"01a2136e-8a3b-7a44-89f9-751855edeaab","agent":{"kind":"other"}}`} {
		if err := os.WriteFile(filepath.Join(copied, recordFile), []byte(record), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Store.Origin(copied); err == nil {
			t.Errorf("%s is accepted", record)
		}
	}
}

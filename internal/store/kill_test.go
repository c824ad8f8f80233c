package store

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// killedDir tells the test's child where to append until it is killed.
const killedDir = "RATCHETAI_TEST_KILLED_DIR"

// TestKilled kills a process in the middle of its appends, again and again: all that it
// was told is stored is there, and nothing that was not sent.
func TestKilled(t *testing.T) {
	if dir := os.Getenv(killedDir); dir != "" {
		appendForEver(t, dir)
	}
	t.Parallel()
	dir := t.TempDir()
	for round := range 5 {
		acked := map[string]uint64{}
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		cmd.Env = append(os.Environ(), killedDir+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			var session string
			var seq uint64
			if _, err := fmt.Sscanf(lines.Text(), "acked %s %d", &session, &seq); err != nil {
				t.Errorf("%q", lines.Text())
				_ = cmd.Process.Kill()
				break
			}
			acked[session] = max(acked[session], seq)
			if n == 20+round*17 {
				_ = cmd.Process.Kill() // what it has printed by now is still read
			}
		}
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
		checkKilled(t, dir, acked)
	}
}

// appendForEver is the child.
func appendForEver(t *testing.T, dir string) {
	s, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		h := running(t, s, task.Spec{})
		wg.Go(func() {
			for seq := uint64(1); ; seq += 7 {
				a, err := s.Append(t.Context(), h.batch(notices(seq, 7)...))
				if err != nil {
					t.Error(err)
					return
				}
				fmt.Printf("acked %s %d\n", h.Session, a.Acked) // one write, one line
			}
		})
	}
	wg.Wait()
	os.Exit(1)
}

func checkKilled(t *testing.T, dir string, acked map[string]uint64) {
	t.Helper()
	s, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for session, seq := range acked {
		got := getSession(t, s, session)
		have := stored(t, s, session)
		if got.LastSeq < seq || uint64(len(have)) != got.LastSeq || got.LastSeq%7 != 0 {
			t.Fatalf("%d acknowledged, %d recorded, %d there", seq, got.LastSeq, len(have))
		}
		for i, e := range have {
			if want := ev(uint64(i+1), event.Notice{Kind: "info", Text: fmt.Sprint(i + 1)}); e.Seq != want.Seq || string(e.Data) != string(want.Data) {
				t.Fatalf("event %d is %+v", i+1, e)
			}
		}
	}
	var result string
	if err := s.writer.conn.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&result); err != nil || strings.TrimSpace(result) != "ok" {
		t.Fatal(result, err)
	}
}

//go:build e2e

package sandbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/client"
	"github.com/google/uuid"

	"github.com/sprawlto/ratchetai-runner/sandbox"
	"github.com/sprawlto/ratchetai-runner/sandbox/sandboxtest"
)

const (
	// holderEnv names the file that tells this binary to hold a sandbox, instead
	// of running tests, until it is killed.
	holderEnv  = "SANDBOXTEST_HOLDER"
	crashLines = 3000
)

// held is a sandbox and where its holder keeps what it read.
type held struct {
	ID, State, Image string
	Journal          string
}

func (h held) spec() sandbox.Spec {
	return sandbox.Spec{
		ID: h.ID, Runner: "sandboxtest", Image: h.Image, Command: []string{"/probe", "cat"},
		Dir: "/", User: testUser(), State: h.State,
	}
}

// crashLine i is of any length up to 64 KiB and mostly of some hundred bytes.
func crashLine(i int) []byte {
	size := 100 + i%700
	if i%50 == 0 {
		size = 65_000
	}
	return sandboxtest.Line(i, size)
}

// TestKilledRunners kills the program that holds a sandbox 30 times while it
// sends lines and journals what comes back. In the end each line was echoed
// exactly once, byte for byte.
func TestKilledRunners(t *testing.T) {
	t.Parallel()
	t.Run("socket", func(t *testing.T) {
		t.Parallel()
		testKilledRunners(t, t.TempDir(), 0)
	})
	t.Run("exec", func(t *testing.T) {
		t.Parallel()
		state := t.TempDir()
		if err := blockSocket(state); err != nil {
			t.Fatal(err)
		}
		testKilledRunners(t, state, 1)
	})
}

func testKilledRunners(t *testing.T, state string, helpers int) {
	d := newDocker(t)
	h := held{
		ID: uuid.NewString(), State: state, Image: testImage,
		Journal: filepath.Join(t.TempDir(), "journal"),
	}
	p := start(t, d, h.spec())
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "held.json")
	data, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for round := range 30 {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), holderEnv+"="+file)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(30+rand.IntN(300)) * time.Millisecond)
		_ = cmd.Process.Signal(syscall.SIGKILL)
		if err := cmd.Wait(); cmd.ProcessState.Exited() {
			t.Fatalf("round %d: the holder ended by itself: %v", round, err)
		}
	}
	time.Sleep(300 * time.Millisecond)
	wantHelpers(t, h.ID, helpers)
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), holderEnv+"="+file, holderEnv+"_FINISH=1")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(h.Journal)
	if err != nil {
		t.Fatal(err)
	}
	var want []byte
	for i := 1; i <= crashLines; i++ {
		want = append(want, crashLine(i)...)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("journal has %d bytes, want %d; %d lines, want %d", len(got), len(want), bytes.Count(got, []byte("\n")), crashLines)
	}
	if err := sandbox.VerifyStdout(h.State, int64(len(want)), sandboxtest.Checksum(want)); err != nil {
		t.Error(err)
	}
}

// hold adopts the sandbox that file describes, sends every line from 1, slowly
// at the end of what could be new, and journals stdout. It ends stdin only if
// it is told to finish.
func hold(file string) int {
	if err := holdSandbox(file); err != nil {
		fmt.Fprintln(os.Stderr, "holder:", err)
		return 1
	}
	return 0
}

func holdSandbox(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var h held
	if err := json.Unmarshal(data, &h); err != nil {
		return err
	}
	journal, err := os.OpenFile(h.Journal, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := journal.Stat()
	if err != nil {
		return err
	}
	d, err := sandbox.NewDocker("")
	if err != nil {
		return err
	}
	p, err := d.Adopt(context.Background(), h.spec(), info.Size())
	if err != nil {
		return err
	}
	finish := os.Getenv(holderEnv+"_FINISH") != ""
	go func() {
		for i := 1; i <= crashLines; i++ {
			line := crashLine(i)
			if err := p.Send(uint64(i), line[:len(line)-1]); err != nil {
				fmt.Fprintln(os.Stderr, "holder: send:", err)
				os.Exit(1)
			}
			if !finish && i%20 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		if finish {
			_ = p.CloseStdin(crashLines + 1)
		}
	}()
	_, err = io.Copy(journal, p.Stdout())
	return err
}

// wantHelpers checks how many tunnel helpers the engine sees in a sandbox: each
// leaves when the next one comes.
func wantHelpers(t *testing.T, id string, most int) {
	t.Helper()
	api, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	top, err := api.ContainerTop(testContext(t), "ratchetai-"+id, []string{"-o", "pid,stat,args"})
	if err != nil {
		t.Fatal(err)
	}
	var helpers [][]string
	for _, row := range top.Processes {
		if strings.HasSuffix(row[2], "sandbox-init tunnel") || strings.HasPrefix(row[1], "Z") {
			helpers = append(helpers, row)
		}
	}
	if len(helpers) > most {
		t.Errorf("%d helpers are left: %v", len(helpers), helpers)
	}
}

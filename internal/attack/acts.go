package attack

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

const (
	// actMax bounds one act; none needs more than two seconds.
	actMax = 15 * time.Second
	// ready is what a part prints when everything is in place.
	ready = "ready\n"
	// placed is what it prints after that when it has put something in place of
	// what was there.
	placed = "placed\n"
	// toldFile is where an imposter leaves word.
	toldFile = "told"
)

// act is an attempt that needs the runner to walk into it: a part inside, and a
// judge outside.
type act struct {
	name, tried, part string
	limits            sandbox.Limits
	judge             func(ctx context.Context, s *stage) error // nil: it held
	held              string                                    // what happened then
}

// stage is one running part.
type stage struct {
	*runner.Probe
	bait      *bait
	workspace string
	out       *bufio.Reader // what it writes, to the first runner
	said      []byte        // what of that was read
}

func acts() []act {
	kept := "the new runner reports a gap and reads nothing else"
	return []act{
		{name: "plant-link", tried: "put a link to a file of the host in place of the saved stdout", part: "plant-link", judge: stdoutChanged, held: kept},
		{name: "plant-fifo", tried: "put a pipe in its place, at which a reader waits for ever", part: "plant-fifo", judge: stdoutChanged, held: kept},
		{name: "plant-directory", tried: "put a directory in its place", part: "plant-directory", judge: stdoutChanged, held: kept},
		{name: "plant-file", tried: "put a forged file in its place", part: "plant-file", judge: stdoutForged, held: "its checksum gives it away"},
		{name: "plant-truncate", tried: "cut it", part: "plant-truncate", judge: stdoutForged, held: "its checksum gives it away"},
		{name: "plant-home", tried: "put a link into the host's files in place of the agent's config directory", part: "plant-home",
			judge: baitUntouched, held: "the new runner changes nothing there"},
		{name: "plant-socket", tried: "listen in PID 1's place and wait for the runner", part: "plant-socket", judge: nobodyTold, held: "the runner told nothing"},
		{name: "plant-socket-link", tried: "put a link to a socket of the host in place of the tunnel's", part: "plant-socket-link",
			judge: nobodyTold, held: "the runner did not follow it"},
		{name: "bomb-stdout", tried: "print 64 MiB where 4 MiB are the limit", part: "flood", limits: sandbox.Limits{StdoutBytes: 4 << 20},
			judge: flooded, held: "killed at the limit"},
		{name: "stay-after-term", tried: "ignore SIGTERM", part: "stubborn", judge: killed, held: "SIGKILL ends it"},
		{name: "stay-as-daemon", tried: "leave a process of another session behind that ignores signals", part: "daemon", judge: gone, held: "ended with the sandbox"},
	}
}

// takeover takes the part over as a new runner does and returns what its stdout
// then yields, within two seconds.
func takeover(ctx context.Context, s *stage) ([]byte, error) {
	if err := s.Takeover(ctx); err != nil {
		return nil, fmt.Errorf("take over: %w", err)
	}
	type text struct {
		data []byte
		err  error
	}
	out := s.Process().Stdout()
	done := make(chan text, 1)
	go func() {
		data, err := io.ReadAll(io.LimitReader(out, 1<<20))
		done <- text{data, err}
	}()
	select {
	case t := <-done:
		return t.data, t.err
	case <-time.After(2 * time.Second):
	}
	_ = s.Process().Kill(ctx)
	select {
	case t := <-done:
		return t.data, t.err
	case <-time.After(5 * time.Second):
		return nil, errors.New("the reader hangs")
	}
}

func stdoutChanged(ctx context.Context, s *stage) error {
	data, err := takeover(ctx, s)
	switch {
	case bytes.Contains(data, []byte(canary())):
		return errors.New("the runner read a file of the host")
	case !errors.Is(err, sandbox.ErrStdoutChanged):
		return fmt.Errorf("the runner read %.60q, %w", data, err)
	}
	return nil
}

// stdoutForged compares what was read live with what is there, as a new runner
// does before it reads on.
func stdoutForged(_ context.Context, s *stage) error {
	sum := crc32.Checksum(s.said, crc32.MakeTable(crc32.Castagnoli))
	var err error
	for range 30 { // a part may need a moment
		err = sandbox.VerifyStdout(filepath.Join(s.Dir(), "sandbox"), int64(len(s.said)), sum)
		if errors.Is(err, sandbox.ErrStdoutChanged) {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("the runner takes it for its own: %w", err)
}

func baitUntouched(ctx context.Context, s *stage) error {
	before := describe(s.bait.dir)
	err := s.Takeover(ctx)
	if after := describe(s.bait.dir); after != before {
		return fmt.Errorf("the host's directory was %s and is %s (%v)", before, after, err)
	}
	return nil
}

// describe says what is in dir and whose it is.
func describe(dir string) string {
	var b strings.Builder
	for _, name := range []string{dir, filepath.Join(dir, "canary"), filepath.Join(dir, ".credentials.json")} {
		info, err := os.Lstat(name)
		if err != nil {
			continue
		}
		fmt.Fprintf(&b, "%s %s", info.Name(), info.Mode())
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			fmt.Fprintf(&b, " %d:%d", st.Uid, st.Gid)
		}
		b.WriteString("; ")
	}
	return b.String()
}

func nobodyTold(ctx context.Context, s *stage) error {
	if err := s.Takeover(ctx); err != nil {
		return fmt.Errorf("take over: %w", err)
	}
	if err := s.Process().Send(1, []byte("only for the agent")); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	time.Sleep(1500 * time.Millisecond) // the tunnel is opened within a second
	told, err := readWithin(s.workspace, toldFile)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if len(told) > 0 {
		return fmt.Errorf("it heard the runner: %.200q", told)
	}
	if s.bait.sprung() {
		return errors.New("the runner followed a link to a socket of the host")
	}
	return nil
}

// readWithin reads a file of a hostile directory.
func readWithin(dir, name string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.ReadFile(name)
}

func flooded(ctx context.Context, s *stage) error {
	_, _ = io.Copy(io.Discard, s.Process().Stdout())
	return endsAs(ctx, s, sandbox.StdoutLimit)
}

func killed(ctx context.Context, s *stage) error {
	if err := s.Process().Signal(ctx, syscall.SIGTERM); err != nil {
		return err
	}
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if r, err := s.Process().Wait(short); err == nil {
		return fmt.Errorf("SIGTERM ended it already (%s), so this shows nothing", r.Cause)
	}
	if err := s.Process().Kill(ctx); err != nil {
		return err
	}
	return endsAs(ctx, s, sandbox.Exited)
}

func gone(ctx context.Context, s *stage) error { return endsAs(ctx, s, sandbox.Exited) }

func endsAs(ctx context.Context, s *stage, want sandbox.Cause) error {
	r, err := s.Process().Wait(ctx)
	if err != nil {
		return fmt.Errorf("it did not end: %w", err)
	}
	if r.Cause != want {
		return fmt.Errorf("it ended by %s, exit code %d", r.Cause, r.ExitCode)
	}
	return nil
}

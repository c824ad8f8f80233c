package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

const (
	childCommand  = "runner-child"
	idleBudget    = 20 // MB
	sessionBudget = 4  // MB, and the longest line
	growthBudget  = 1  // MB over a long stream
	liveSessions  = 8
	liveSeconds   = 5
	// keptBytes is how much of the stream at least stays on the disk behind the reader.
	keptBytes = 64 << 20
)

// order is what a child is asked to do, as a line of JSON on its stdin: so many
// sessions at once of the probe with these arguments.
type order struct {
	Dir, Image, User string
	Sessions         int
	Args             []string
}

// runChild is a process with nothing but a runner in it, whose memory can be
// measured from outside. It prints "idle", waits for an order, runs it, and prints
// "done".
func runChild(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	engine, err := sandbox.NewDocker("")
	if err != nil {
		return err
	}
	defer engine.Close()
	if _, err := engine.Info(ctx); err != nil {
		return err
	}
	fmt.Fprintln(stdout, "idle")
	var o order
	if err := json.NewDecoder(stdin).Decode(&o); err != nil {
		return err
	}
	r, _, err := newRunner(engine, o.Dir, o.Args...)
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	errs := make(chan error, o.Sessions)
	for range o.Sessions {
		t, err := probeTask(o.Dir, o.Image, o.User)
		if err != nil {
			return err
		}
		all.Go(func() {
			s, err := r.Start(ctx, t)
			if err != nil {
				errs <- err
				return
			}
			if end := s.Result(); end.Outcome != event.Succeeded {
				errs <- fmt.Errorf("session %s: %s", end.Outcome, end.Reason)
			}
		})
	}
	all.Wait()
	close(errs)
	for e := range errs {
		err = errors.Join(err, e)
	}
	fmt.Fprintln(stdout, "done")
	return err
}

// measureMemory watches a process with a runner in it.
func measureMemory(ctx context.Context, l *lab) ([]row, error) {
	idle, all, err := l.child(ctx, liveSessions, "rate", "200000", strconv.Itoa(liveSeconds))
	if err != nil {
		return nil, err
	}
	peak := slices.Max(all)
	perSession := float64(peak-idle) / liveSessions
	rows := []row{
		row{What: "idle runner", Value: mib(idle), Unit: "MB"}.atMost(idleBudget),
		row{
			What: fmt.Sprintf("each of %d sessions, short lines", liveSessions), Ours: figure(mib(peak), "MB") + " in all",
			Value: perSession / 1024, Unit: "MB",
		}.atMost(sessionBudget),
	}
	const line = 8 << 20
	idle, all, err = l.child(ctx, 1, "lines", "32", strconv.Itoa(line))
	if err != nil {
		return rows, err
	}
	peak = slices.Max(all)
	rows = append(rows, row{What: "a session with 8 MB lines", Ours: figure(mib(peak), "MB") + " in all", Value: mib(peak - idle), Unit: "MB"}.
		atMost(sessionBudget+line>>20))
	n := l.streamBytes / largeLine
	idle, all, err = l.child(ctx, 1, "lines", strconv.FormatInt(n, 10), strconv.Itoa(largeLine))
	if err != nil {
		return rows, err
	}
	peak = slices.Max(all)
	early, late := median(all[len(all)/4:len(all)/2]), median(all[len(all)*3/4:])
	what := fmt.Sprintf("a session with %.1f GB of 1 MiB lines", float64(n*largeLine)/1e9)
	return append(rows,
		row{What: what, Ours: figure(mib(peak), "MB") + " in all", Value: mib(peak - idle), Unit: "MB"}.atMost(sessionBudget+1),
		row{What: "  its growth from the second quarter to the last", Value: mib(late - early), Unit: "MB"}.atMost(growthBudget),
	), nil
}

// child runs n sessions in a process of their own and returns its resident memory
// in kB: before them, and at all times until they have ended.
func (l *lab) child(ctx context.Context, n int, args ...string) (idle int64, rss []int64, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, nil, err
	}
	dir, err := os.MkdirTemp(l.dir, "child-")
	if err != nil {
		return 0, nil, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.CommandContext(ctx, self, childCommand)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return 0, nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return 0, nil, err
	}
	if err := cmd.Start(); err != nil {
		return 0, nil, err
	}
	said := bufio.NewScanner(stdout)
	said.Scan()
	time.Sleep(200 * time.Millisecond)
	if idle, err = procField(cmd.Process.Pid, "status", "VmRSS"); err != nil {
		return 0, nil, err
	}
	stop := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			if kb, err := procField(cmd.Process.Pid, "status", "VmRSS"); err == nil {
				rss = append(rss, kb)
			}
			forget(dir)
			select {
			case <-stop:
				return
			case <-time.After(25 * time.Millisecond):
			}
		}
	})
	err = json.NewEncoder(stdin).Encode(order{Dir: dir, Image: l.bare.image, User: l.user, Sessions: n, Args: args})
	said.Scan()
	close(stop)
	watching.Wait()
	if err = errors.Join(err, cmd.Wait()); err != nil {
		return 0, nil, err
	}
	return idle, append(rss, idle), nil
}

// forget gives the disk back what journals and stdout files under dir hold of lines
// that are journalled, so that a long stream needs little of it. Sizes and offsets
// stay, so that nobody notices who does not read that part again.
func forget(dir string) {
	journals, _ := filepath.Glob(filepath.Join(dir, "runner-*/state/sessions/*/journal.ndjson"))
	for _, journal := range journals {
		info, err := os.Stat(journal)
		if err != nil {
			continue
		}
		// A journal is a little longer than the stdout that is in it.
		n := info.Size()*9/10 - keptBytes
		if n <= 0 {
			continue
		}
		for _, name := range []string{journal, filepath.Join(filepath.Dir(journal), "sandbox/io/stdout")} {
			if f, err := os.OpenFile(name, os.O_RDWR, 0); err == nil {
				punch(f, n)
				f.Close()
			}
		}
	}
}

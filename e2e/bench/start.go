package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/sprawlto/ratchetai-runner/e2e/bench/peer"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

const (
	startRounds = 24
	startBudget = 15 // ms more than the bare engine
	pid1Budget  = 8  // MB of PID 1 and the tunnel's helper
)

// measureStart compares the time to the probe's first byte.
func measureStart(ctx context.Context, l *lab) ([]row, error) {
	var bare, ours []time.Duration
	var memory []int64
	for i := range startRounds {
		b, err := l.bare.firstByte(ctx)
		if err != nil {
			return nil, err
		}
		o, kb, err := l.firstByte(ctx, i < 3)
		if err != nil {
			return nil, err
		}
		bare, ours = append(bare, b), append(ours, o)
		if i < 3 && kb > 0 {
			memory = append(memory, kb)
		}
	}
	b, o := median(bare), median(ours)
	rows := []row{row{
		What: "first byte of a probe", Bare: msText(b), Ours: msText(o), Value: ms(o - b), Unit: "ms",
	}.atMost(startBudget)}
	if len(memory) == 0 {
		return append(rows, note("PID 1 and tunnel, private dirty", "needs root")), nil
	}
	return append(rows, row{What: "PID 1 and tunnel, private dirty", Value: mib(median(memory)), Unit: "MB"}.atMost(pid1Budget)), nil
}

// firstByte is bare.firstByte through package sandbox. It may also return how many
// kB PID 1 and the tunnel's helper hold, if they can be read.
func (l *lab) firstByte(ctx context.Context, memory bool) (first time.Duration, kb int64, err error) {
	spec, err := l.spec("first")
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(spec.State)
	spec.Proxy = peer.Serve
	start := time.Now()
	p, err := l.engine.Start(ctx, spec)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = p.Remove(context.WithoutCancel(ctx)) }()
	if _, err := p.Stdout().Read(make([]byte, 64)); err != nil {
		return 0, 0, err
	}
	first = time.Since(start)
	if memory {
		time.Sleep(300 * time.Millisecond) // until the tunnel is there
		kb = l.initMemory(ctx, spec)
	}
	go func() { _, _ = io.Copy(io.Discard, p.Stdout()) }()
	return first, kb, nil
}

// initMemory adds up what is ours in the container of spec, in kB of private dirty
// memory; 0 if that is not to be known.
func (l *lab) initMemory(ctx context.Context, spec sandbox.Spec) (kb int64) {
	pid, err := l.bare.pid(ctx, "ratchetai-"+spec.ID)
	if err != nil {
		return 0
	}
	namespace, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid))
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		ns, err := os.Readlink(dir + "/ns/pid")
		if err != nil || ns != namespace {
			continue
		}
		command, _ := os.ReadFile(dir + "/cmdline")
		if !bytes.HasPrefix(command, []byte(sandbox.InitPath+"\x00")) {
			continue
		}
		n, _ := strconv.Atoi(filepath.Base(dir))
		private, err := procField(n, "smaps_rollup", "Private_Dirty")
		if err != nil {
			return 0
		}
		kb += private
	}
	return kb
}

const versionBudget = 40 // ms

// measureVersion runs `PROGRAM version`, beside a program that does nothing.
func measureVersion(ctx context.Context, l *lab) ([]row, error) {
	var nothing, version []time.Duration
	for range 20 {
		for _, c := range []struct {
			to   *[]time.Duration
			args []string
		}{{&nothing, []string{"/bin/true"}}, {&version, []string{l.program, "version"}}} {
			start := time.Now()
			if out, err := exec.CommandContext(ctx, c.args[0], c.args[1:]...).CombinedOutput(); err != nil {
				return nil, fmt.Errorf("%w: %s", err, out)
			}
			*c.to = append(*c.to, time.Since(start))
		}
	}
	v := median(version)
	return []row{row{What: "ratchetai-runner version", Bare: msText(median(nothing)), Ours: msText(v), Value: ms(v), Unit: "ms"}.atMost(versionBudget)}, nil
}

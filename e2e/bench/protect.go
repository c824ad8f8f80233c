package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/workspace"
)

const (
	protectRounds = 16
	protectBudget = 20      // ms more for a start
	lookBudget    = 200     // ms for one look at a large workspace
	largeFiles    = 100_000 // in a large workspace, 12 in a directory
)

// measureProtect compares starts in an empty workspace, where nothing is mounted
// over, with starts in a repository that is in use, small and large.
func measureProtect(ctx context.Context, l *lab) ([]row, error) {
	small, err := l.repository(120)
	if err != nil {
		return nil, err
	}
	large, err := l.repository(largeFiles)
	if err != nil {
		return nil, err
	}
	var empty, inSmall, inLarge, look []time.Duration
	for range protectRounds {
		for dir, list := range map[string]*[]time.Duration{"": &empty, small: &inSmall, large: &inLarge} {
			d, err := l.startIn(ctx, dir)
			if err != nil {
				return nil, err
			}
			*list = append(*list, d)
		}
		start := time.Now()
		if _, err := workspace.Take(ctx, large, nil); err != nil {
			return nil, err
		}
		look = append(look, time.Since(start))
	}
	e, s, b, t := median(empty), median(inSmall), median(inLarge), median(look)
	return []row{
		row{What: "start in a repository", Bare: msText(e) + " (empty)", Ours: msText(s), Value: ms(s - e), Unit: "ms"}.atMost(protectBudget),
		row{What: fmt.Sprintf("start among %d files", largeFiles), Bare: msText(e) + " (empty)", Ours: msText(b), Value: ms(b - e), Unit: "ms"}.atMost(protectBudget),
		row{What: fmt.Sprintf("a look at %d files", largeFiles), Value: ms(t), Unit: "ms"}.atMost(lookBudget),
	}, nil
}

// repository makes a git repository with that many files.
func (l *lab) repository(files int) (string, error) {
	dir, err := os.MkdirTemp(l.dir, "repository-")
	if err != nil {
		return "", err
	}
	if out, err := exec.Command("git", "init", "-q", dir).CombinedOutput(); err != nil {
		return "", fmt.Errorf("git init: %w: %s", err, out)
	}
	for n := range files {
		d := filepath.Join(dir, fmt.Sprintf("%d/%d/%d", n/12000, n/1200%10, n/12%100))
		if n%12 == 0 {
			if err := os.MkdirAll(d, 0o755); err != nil {
				return "", err
			}
		}
		if err := os.WriteFile(filepath.Join(d, fmt.Sprint(n)), nil, 0o644); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// startIn returns how long it takes until a session's agent runs in dir; "" is a
// new workspace.
func (l *lab) startIn(ctx context.Context, dir string) (time.Duration, error) {
	r, _, err := l.runner("lines", "20", "200")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(r.Home)
	t, err := probeTask(l.dir, l.bare.image, l.user)
	if err != nil {
		return 0, err
	}
	if dir != "" {
		t.Workspace = dir
	}
	start := time.Now()
	s, err := r.Start(ctx, t)
	if err != nil {
		return 0, err
	}
	took := time.Since(start)
	s.Kill(event.Cancelled, "measured")
	s.Result()
	return took, nil
}

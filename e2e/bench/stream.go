package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	smallLine   = 200
	smallBytes  = 100e6
	smallBudget = 40 // MB/s
	largeLine   = 1 << 20
	largeBytes  = 256 << 20
	largeBudget = 0.8 // of the bare engine
	steadyRate  = 10e6
	steadyTime  = 5 // seconds
)

// measureStream compares how fast output comes out of a container with how fast
// it gets into the journal: redacted, decoded and written.
func measureStream(ctx context.Context, l *lab) ([]row, error) {
	var rows []row
	small, err := l.streams(ctx, smallBytes/smallLine, smallLine)
	if err != nil {
		return nil, err
	}
	rows = append(rows,
		row{
			What: "200-byte lines", Bare: rateText(small.bare), Ours: rateText(small.ours), Value: mb(small.ours), Unit: "MB/s",
		}.atLeast(smallBudget),
		row{What: "  per second of the runner's processor time", Value: mb(small.perCPU), Unit: "MB/s"})
	large, err := l.streams(ctx, largeBytes/largeLine, largeLine)
	if err != nil {
		return rows, err
	}
	rows = append(rows,
		row{
			What: "1 MiB lines", Bare: rateText(large.bare), Ours: rateText(large.ours), Value: large.ours / large.bare, Unit: "x",
		}.atLeast(largeBudget),
		row{What: "  per second of the runner's processor time", Value: mb(large.perCPU), Unit: "MB/s"})
	steady, err := l.steady(ctx)
	return append(rows, steady...), err
}

// rates are medians in bytes per second. perCPU is per second of processor time
// that this process used, which a busy machine changes less.
type rates struct{ bare, ours, perCPU float64 }

// streams has the probe write n lines of size bytes, to be read from the bare
// engine and into a journal.
func (l *lab) streams(ctx context.Context, n int64, size int) (rates, error) {
	args := []string{"lines", strconv.FormatInt(n, 10), strconv.Itoa(size)}
	var bare, ours, perCPU []float64
	for range 3 {
		var m meter
		if err := l.bare.run(ctx, &m, args...); err != nil {
			return rates{}, err
		}
		before := processorTime()
		_, through, err := l.session(ctx, args...)
		if err != nil {
			return rates{}, err
		}
		took := processorTime() - before
		if through.bytes.Load() != m.bytes.Load() {
			return rates{}, fmt.Errorf("%w: %d of %d bytes", errShort, through.bytes.Load(), m.bytes.Load())
		}
		bare, ours = append(bare, m.rate()), append(ours, through.rate())
		perCPU = append(perCPU, float64(m.bytes.Load())/took.Seconds())
	}
	return rates{median(bare), median(ours), median(perCPU)}, nil
}

// processorTime is what this process has used of all processors.
func processorTime() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// steady has an agent write at a fixed rate, and asks it whether it had to wait.
func (l *lab) steady(ctx context.Context) ([]row, error) {
	end, _, err := l.session(ctx, "rate", strconv.Itoa(steadyRate), strconv.Itoa(steadyTime))
	if err != nil {
		return nil, err
	}
	var written, blocked, longest int64
	if _, err := fmt.Sscan(end.Result, &written, &blocked, &longest); err != nil {
		return nil, fmt.Errorf("the probe answered %q: %w", end.Result, err)
	}
	what := fmt.Sprintf("%.0f MB/s for %d s: blocked writes", float64(written)/steadyTime/1e6, steadyTime)
	return []row{
		row{What: what, Ours: "longest " + msText(time.Duration(longest)), Value: float64(blocked)}.atMost(0),
	}, nil
}

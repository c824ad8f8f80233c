package runner

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
)

const (
	// diskMin is what must be free where sessions are kept, in bytes: with less,
	// the end of a session could not be written down.
	diskMin = 64 << 20
	// diskPoll is the pause between looks at it.
	diskPoll = 2 * time.Second
)

// watchdog watches over the time that a session takes, over a silent agent, and
// over the disk. Its timers end with stop.
type watchdog struct {
	s      *Session
	timers []*time.Timer
}

// watch starts the watchdog of a running session.
func (s *Session) watch() *watchdog {
	w := &watchdog{s: s}
	total := s.Deadline.Sub(s.Created)
	w.at(s.Created.Add(total*warnPercent/100), s.warnOfDeadline)
	w.at(s.Deadline.Add(-min(graceMax, total/10)), s.tellDeadline)
	w.at(s.Deadline, func() { s.End(event.TimedOut, deadlinePassed) })
	w.every(diskPoll, s.lookAtDisk)
	if s.Silence > 0 {
		w.every(s.Silence, s.listen)
	}
	return w
}

// lookAtDisk ends a session before its end cannot be written down any more, and
// returns when to look again. A look that stop was too late for is the last but one.
func (s *Session) lookAtDisk() time.Duration {
	if s.ctx.Err() != nil {
		return 0
	}
	if err := diskSpace(s.runner.Store.dir(s.ID)); err != nil {
		s.End(event.Errored, err.Error())
		return 0
	}
	return diskPoll
}

const deadlinePassed = "the session reached its deadline"

func (w *watchdog) at(t time.Time, f func()) {
	w.timers = append(w.timers, time.AfterFunc(time.Until(t), f))
}

// every calls f after d, and again after what it returns, until that is 0.
func (w *watchdog) every(d time.Duration, f func() time.Duration) {
	var t *time.Timer
	set := make(chan struct{}) // closed when t is set
	t = time.AfterFunc(d, func() {
		<-set
		if next := f(); next > 0 {
			t.Reset(next)
		}
	})
	close(set)
	w.timers = append(w.timers, t)
}

func (w *watchdog) stop() {
	for _, t := range w.timers {
		t.Stop()
	}
}

// warnOfDeadline warns once that most of the time has passed.
func (s *Session) warnOfDeadline() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.ending || s.meter.warned[event.BudgetTime] {
		return
	}
	_ = s.apply(agent.Step{Events: []event.Data{event.BudgetWarned{
		Budget: event.BudgetTime,
		Used:   time.Since(s.Created).Milliseconds(), Limit: s.Deadline.Sub(s.Created).Milliseconds(),
	}}}, nil)
}

// tellDeadline has a working agent finish in what is left of its time: the
// deadline itself is not moved.
func (s *Session) tellDeadline() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if left := time.Until(s.Deadline); !s.over && left > 0 && !s.adapter.Idle() {
		_ = s.tell(stopped{event.TimedOut, deadlinePassed, left})
	}
}

// listen ends a session whose agent has printed nothing for too long, and returns
// when to listen again. An agent that waits for a person is not silent.
func (s *Session) listen() time.Duration {
	s.mu.Lock()
	if s.over || s.ending {
		s.mu.Unlock()
		return 0
	}
	if s.adapter.Idle() || len(s.asks) > 0 {
		s.heard = time.Now()
	}
	left := s.Silence - time.Since(s.heard)
	s.mu.Unlock()
	if left > 0 {
		return left
	}
	s.End(event.Stalled, fmt.Sprintf("the agent printed nothing for %s", s.Silence))
	return 0
}

// diskSpace returns an error when the disk of dir is nearly full.
func diskSpace(dir string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return nil // what it would have told, a write will
	}
	free := st.Bavail * uint64(st.Bsize)
	if free >= diskMin {
		return nil
	}
	return fmt.Errorf("the disk of %s is nearly full: %d MiB are free, %d must be", dir, free>>20, diskMin>>20)
}

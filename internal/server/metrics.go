package server

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/metrics"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// Metrics are what GET /metrics shows. Every series is there from the start, so that a
// rule on one that never happened works. It is the dispatcher's observer.
type Metrics struct {
	queueWait, pickUp, lag, polls *metrics.Histogram
	events, batches, refused      atomic.Int64
	readers                       atomic.Int64
	outcomes                      map[event.Outcome]*atomic.Int64 // never changes
}

// outcomes that are counted apart, in the order in which they are shown; a newer runner's
// count as "other".
var outcomes = [...]event.Outcome{event.Succeeded, event.Failed, event.Errored, event.Cancelled, event.TimedOut, event.Stalled,
	event.BudgetExceeded, event.LimitReached, event.Lost, "other"}

// NewMetrics returns metrics that count nothing yet.
func NewMetrics() *Metrics {
	m := &Metrics{
		queueWait: metrics.NewHistogram(time.Millisecond), pickUp: metrics.NewHistogram(time.Millisecond),
		lag: metrics.NewHistogram(time.Millisecond), polls: metrics.NewHistogram(100 * time.Millisecond),
		outcomes: map[event.Outcome]*atomic.Int64{},
	}
	for _, o := range outcomes {
		m.outcomes[o] = new(atomic.Int64)
	}
	return m
}

// QueueWait implements schedule.Observer, as do the next three.
func (m *Metrics) QueueWait(d time.Duration) { m.queueWait.Observe(d) }

// PickUp implements schedule.Observer.
func (m *Metrics) PickUp(d time.Duration) { m.pickUp.Observe(d) }

// PollAge implements schedule.Observer. A label for each runner would be a series that
// never ends.
func (m *Metrics) PollAge(_ string, d time.Duration) { m.polls.Observe(d) }

// Outcome implements schedule.Observer.
func (m *Metrics) Outcome(o event.Outcome) {
	n := m.outcomes[o]
	if n == nil {
		n = m.outcomes["other"]
	}
	n.Add(1)
}

// stored counts a batch with so many new events, the oldest of which happened lag ago.
func (m *Metrics) stored(events int, lag time.Duration) {
	m.batches.Add(1)
	m.events.Add(int64(events))
	if events > 0 {
		m.lag.Observe(max(0, lag)) // clocks differ
	}
}

func (m *Metrics) show(x *metrics.Text) {
	x.Histogram("ratchetai_queue_wait_seconds", "From when a task is due until it is offered to a runner.", m.queueWait)
	x.Histogram("ratchetai_pick_up_seconds", "From when a task is offered until its runner accepts it.", m.pickUp)
	x.Histogram("ratchetai_event_lag_seconds", "From when an event happened until it is stored, of the oldest of each batch.", m.lag)
	x.Histogram("ratchetai_poll_age_seconds", "From one sync of a runner to its next.", m.polls)
	x.Family("ratchetai_tasks_finished_total", metrics.Counter, "Tasks that ended.")
	for _, o := range outcomes {
		x.Value(float64(m.outcomes[o].Load()), "outcome", string(o))
	}
	x.One("ratchetai_events_stored_total", metrics.Counter, "Events stored.", float64(m.events.Load()))
	x.One("ratchetai_ingest_batches_total", metrics.Counter, "Batches of events stored.", float64(m.batches.Load()))
	x.One("ratchetai_ingest_refused_total", metrics.Counter, "Batches of events refused.", float64(m.refused.Load()))
	x.One("ratchetai_stream_readers", metrics.Gauge, "Readers of sessions' events.", float64(m.readers.Load()))
}

// showMetrics is GET /metrics.
func (s *Server) showMetrics(c *call) error {
	ctx, cancel := context.WithTimeout(c.ctx(), 5*time.Second)
	defer cancel()
	var x metrics.Text
	s.metrics.show(&x)
	if err := s.showState(ctx, &x); err != nil {
		return err
	}
	showProcess(&x)
	return x.Answer(c.w)
}

// showState shows what is counted when somebody asks.
func (s *Server) showState(ctx context.Context, x *metrics.Text) error {
	all, err := s.dispatch.Runners(ctx)
	if err != nil {
		return err
	}
	connected, oldest := 0, time.Duration(0)
	for _, r := range all {
		if r.Connected {
			connected++
			oldest = max(oldest, s.now().Sub(r.SeenAt))
		}
	}
	x.One("ratchetai_runners_connected", metrics.Gauge, "Runners that are connected.", float64(connected))
	x.One("ratchetai_poll_oldest_seconds", metrics.Gauge, "Since when the connected runner that has been silent longest is.", oldest.Seconds())
	x.Family("ratchetai_sessions", metrics.Gauge, "Sessions that a runner works at.")
	for _, st := range []task.SessionState{task.Offered, task.Accepted, task.Active} {
		n, err := s.countSessions(ctx, st)
		if err != nil {
			return err
		}
		x.Value(float64(n), "state", string(st))
	}
	items, err := s.needs(ctx)
	if err != nil {
		return err
	}
	x.One("ratchetai_inbox_items", metrics.Gauge, "What needs a person.", float64(len(items)))
	size, free, err := s.store.Disk()
	if err != nil {
		return err
	}
	x.One("ratchetai_database_bytes", metrics.Gauge, "Size of the database, without artifacts.", float64(size))
	x.One("ratchetai_disk_free_bytes", metrics.Gauge, "Room on the disk of the database.", float64(free))
	return nil
}

// showProcess shows what this process uses, by the names that others use for it.
func showProcess(x *metrics.Text) {
	if cpu, rss, ok := processUse(); ok { // where there is /proc
		x.One("process_cpu_seconds_total", metrics.Counter, "Processor time of this process.", cpu.Seconds())
		x.One("process_resident_memory_bytes", metrics.Gauge, "Memory of this process.", float64(rss))
	}
	x.One("go_goroutines", metrics.Gauge, "Goroutines.", float64(runtime.NumGoroutine()))
}

// processUse returns this process's processor time, and its resident memory in bytes.
func processUse() (cpu time.Duration, rss int64, ok bool) {
	var u unix.Rusage
	var pages int64
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil || unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0, 0, false
	}
	if _, err := fmt.Sscan(string(statm), new(int64), &pages); err != nil {
		return 0, 0, false
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), pages * int64(os.Getpagesize()), true
}

func (s *Server) countSessions(ctx context.Context, st task.SessionState) (int, error) {
	n, before := 0, ""
	for {
		page, next, err := s.store.Sessions(ctx, "", st, pageMax, before)
		if n += len(page); err != nil || next == "" {
			return n, err
		}
		before = next
	}
}

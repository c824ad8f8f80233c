package server

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// Metrics are what GET /metrics shows. Every series is there from the start, so that a
// rule on one that never happened works. It is the dispatcher's observer.
type Metrics struct {
	registry  *prometheus.Registry
	queueWait prometheus.Histogram
	pickUp    prometheus.Histogram
	lag       prometheus.Histogram
	polls     prometheus.Histogram
	outcomes  *prometheus.CounterVec
	events    prometheus.Counter
	batches   prometheus.Counter
	refused   prometheus.Counter
	readers   prometheus.Gauge
}

// NewMetrics returns metrics that count nothing yet.
func NewMetrics() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	seconds := func(name, help string, from float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "ratchetai", Name: name + "_seconds", Help: help,
			Buckets: prometheus.ExponentialBuckets(from, 4, 10)})
	}
	count := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "ratchetai", Name: name, Help: help})
	}
	m.queueWait = seconds("queue_wait", "From when a task is due until it is offered to a runner.", 0.001)
	m.pickUp = seconds("pick_up", "From when a task is offered until its runner accepts it.", 0.001)
	m.lag = seconds("event_lag", "From when an event happened until it is stored, of the oldest of each batch.", 0.001)
	m.polls = seconds("poll_age", "From one sync of a runner to its next.", 0.1)
	m.events = count("events_stored_total", "Events stored.")
	m.batches = count("ingest_batches_total", "Batches of events stored.")
	m.refused = count("ingest_refused_total", "Batches of events refused.")
	m.readers = prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "ratchetai", Name: "stream_readers", Help: "Readers of sessions' events."})
	m.outcomes = prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "ratchetai", Name: "tasks_finished_total", Help: "Tasks that ended."}, []string{"outcome"})
	for _, o := range []event.Outcome{event.Succeeded, event.Failed, event.Errored, event.Cancelled, event.TimedOut, event.Stalled,
		event.BudgetExceeded, event.LimitReached, event.Lost} {
		m.outcomes.WithLabelValues(string(o))
	}
	m.registry.MustRegister(m.queueWait, m.pickUp, m.lag, m.polls, m.events, m.batches, m.refused, m.readers, m.outcomes,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// QueueWait implements schedule.Observer, as do the next three.
func (m *Metrics) QueueWait(d time.Duration) { m.queueWait.Observe(d.Seconds()) }

// PickUp implements schedule.Observer.
func (m *Metrics) PickUp(d time.Duration) { m.pickUp.Observe(d.Seconds()) }

// PollAge implements schedule.Observer. A label for each runner would be a series that
// never ends.
func (m *Metrics) PollAge(_ string, d time.Duration) { m.polls.Observe(d.Seconds()) }

// Outcome implements schedule.Observer.
func (m *Metrics) Outcome(o event.Outcome) { m.outcomes.WithLabelValues(string(o)).Inc() }

// stored counts a batch with so many new events, the oldest of which happened lag ago.
func (m *Metrics) stored(events int, lag time.Duration) {
	m.batches.Inc()
	m.events.Add(float64(events))
	if events > 0 {
		m.lag.Observe(max(0, lag.Seconds())) // clocks differ
	}
}

// showMetrics is GET /metrics.
func (s *Server) showMetrics(c *call) error {
	promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{DisableCompression: true}).ServeHTTP(c.w, c.r)
	return nil
}

// state is what is counted when somebody asks.
type state struct{ s *Server }

var (
	runnersDesc  = prometheus.NewDesc("ratchetai_runners_connected", "Runners that are connected.", nil, nil)
	sessionsDesc = prometheus.NewDesc("ratchetai_sessions", "Sessions that a runner works at.", []string{"state"}, nil)
	inboxDesc    = prometheus.NewDesc("ratchetai_inbox_items", "What needs a person.", nil, nil)
	pollDesc     = prometheus.NewDesc("ratchetai_poll_oldest_seconds", "Since when the connected runner that has been silent longest is.", nil, nil)
	sizeDesc     = prometheus.NewDesc("ratchetai_database_bytes", "Size of the database, without artifacts.", nil, nil)
	freeDesc     = prometheus.NewDesc("ratchetai_disk_free_bytes", "Room on the disk of the database.", nil, nil)
)

// Describe implements prometheus.Collector.
func (state) Describe(out chan<- *prometheus.Desc) {
	out <- runnersDesc
	out <- sessionsDesc
	out <- inboxDesc
	out <- pollDesc
	out <- sizeDesc
	out <- freeDesc
}

// Collect implements prometheus.Collector.
func (k state) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	gauge := func(d *prometheus.Desc, n float64, err error, labels ...string) {
		if err != nil {
			out <- prometheus.NewInvalidMetric(d, err)
			return
		}
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, n, labels...)
	}
	all, err := k.s.dispatch.Runners(ctx)
	connected, oldest := 0, time.Duration(0)
	for _, r := range all {
		if r.Connected {
			connected++
			oldest = max(oldest, k.s.now().Sub(r.SeenAt))
		}
	}
	gauge(runnersDesc, float64(connected), err)
	gauge(pollDesc, oldest.Seconds(), err)
	for _, st := range []task.SessionState{task.Offered, task.Accepted, task.Active} {
		n, err := k.s.countSessions(ctx, st)
		gauge(sessionsDesc, float64(n), err, string(st))
	}
	items, err := k.s.needs(ctx)
	gauge(inboxDesc, float64(len(items)), err)
	size, free, err := k.s.store.Disk()
	gauge(sizeDesc, float64(size), err)
	gauge(freeDesc, float64(free), err)
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

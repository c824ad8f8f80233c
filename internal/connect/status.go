package connect

import (
	"encoding/json"
	"maps"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// healthyFor is how old the last answer of the control plane may be: a poll is held for 30 s.
const healthyFor = 90 * time.Second

// Status is what the daemon does at this moment: GET /status.
//
//	{"runner":"7c9e…","name":"nas","version":"v1.2.0","url":"https://plane.example.org","connected":true,"answered_at":"2026-01-02T03:04:05Z",
//	 "capacity":2,"health":{"ready":true},"sessions":[{"id":"0198…","title":"fix the test","state":"running","stored":41}]}
type Status struct {
	Runner    string `json:"runner"`
	Name      string `json:"name"`
	Version   string `json:"version"`
	URL       string `json:"url"`
	Connected bool   `json:"connected"`
	// AnsweredAt is when the control plane answered last; zero: not yet.
	AnsweredAt time.Time             `json:"answered_at,omitzero"`
	Draining   bool                  `json:"draining,omitempty"`
	Refused    string                `json:"refused,omitempty"`
	Capacity   int                   `json:"capacity"`
	Health     api.Health            `json:"health"`
	Sessions   []SessionStatus       `json:"sessions"`
	Finished   map[event.Outcome]int `json:"finished,omitempty"` // since the daemon started
}

// SessionStatus is one session of a Status.
type SessionStatus struct {
	ID        string            `json:"id"`
	Task      string            `json:"task,omitempty"`
	Title     string            `json:"title"`
	Workspace string            `json:"workspace,omitempty"`
	State     task.SessionState `json:"state"`
	Reason    string            `json:"reason,omitempty"`
	Stored    uint64            `json:"stored"` // events that the control plane has
}

// Status returns what the daemon does. It does not block on anything slow.
func (d *Daemon) Status() Status {
	s := Status{
		Runner: d.id, Name: d.Name, Version: d.Version, URL: d.Client.URL(), Capacity: d.Capacity,
		Health: d.looker.last(), Sessions: []SessionStatus{},
	}
	d.mu.Lock()
	s.Connected, s.AnsweredAt, s.Draining, s.Finished = d.connected, d.answered, d.draining, maps.Clone(d.finished)
	if d.refused != nil {
		s.Refused = d.refused.Error()
	}
	d.mu.Unlock()
	for _, w := range d.all() {
		l := w.snapshot()
		s.Sessions = append(s.Sessions, SessionStatus{l.Session, l.Task.ID, l.Task.Name(), l.Task.Workspace, l.State, l.Reason, l.Stored})
	}
	return s
}

// Handler serves the daemon's state: /status, /metrics, and /healthz, which is 503 while the
// control plane is away. It tells what tasks are about, so it is for this machine only.
func (d *Daemon) Handler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{d})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(d.Status())
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if s := d.Status(); !s.Connected || time.Since(s.AnsweredAt) > healthyFor {
			http.Error(w, "the control plane is away", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	})
	return mux
}

// collector makes metrics of a Status when they are asked for.
type collector struct{ d *Daemon }

// Describe implements prometheus.Collector: what Collect yields is checked when it comes.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	s := c.d.Status()
	metric := func(kind prometheus.ValueType, name, help string, value float64, labels ...string) {
		var names, values []string
		for i := 0; i < len(labels); i += 2 {
			names, values = append(names, labels[i]), append(values, labels[i+1])
		}
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc("ratchet_runner_"+name, help, names, nil), kind, value, values...)
	}
	one := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	metric(prometheus.GaugeValue, "connected", "1 while the control plane answers.", one(s.Connected))
	metric(prometheus.GaugeValue, "ready", "1 while new sessions are taken.", one(s.Health.Ready && !s.Draining))
	metric(prometheus.GaugeValue, "capacity", "Sessions that may run at once.", float64(s.Capacity))
	if !s.AnsweredAt.IsZero() {
		metric(prometheus.GaugeValue, "answered_timestamp_seconds", "When the control plane answered last.", float64(s.AnsweredAt.UnixMilli())/1000)
	}
	states := map[task.SessionState]int{task.Accepted: 0, task.Active: 0, task.Ended: 0}
	for _, session := range s.Sessions {
		states[session.State]++
	}
	for state, n := range states {
		metric(prometheus.GaugeValue, "sessions", "Sessions that the control plane does not have whole yet, by state.", float64(n), "state", string(state))
	}
	for outcome, n := range s.Finished {
		metric(prometheus.CounterValue, "sessions_finished_total", "Sessions that ended, by outcome.", float64(n), "outcome", string(outcome))
	}
}

package connect

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/metrics"
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
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) { _ = d.metrics().Answer(w) })
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

// metrics are the same as numbers.
func (d *Daemon) metrics() *metrics.Text {
	s := d.Status()
	t := &metrics.Text{}
	one := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	t.One("ratchet_runner_connected", metrics.Gauge, "1 while the control plane answers.", one(s.Connected))
	t.One("ratchet_runner_ready", metrics.Gauge, "1 while new sessions are taken.", one(s.Health.Ready && !s.Draining))
	t.One("ratchet_runner_capacity", metrics.Gauge, "Sessions that may run at once.", float64(s.Capacity))
	if !s.AnsweredAt.IsZero() {
		t.One("ratchet_runner_answered_timestamp_seconds", metrics.Gauge, "When the control plane answered last.", float64(s.AnsweredAt.UnixMilli())/1000)
	}
	states := map[task.SessionState]int{task.Accepted: 0, task.Active: 0, task.Ended: 0}
	for _, session := range s.Sessions {
		states[session.State]++
	}
	t.Family("ratchet_runner_sessions", metrics.Gauge, "Sessions that the control plane does not have whole yet, by state.")
	for _, state := range slices.Sorted(maps.Keys(states)) {
		t.Value(float64(states[state]), "state", string(state))
	}
	t.Family("ratchet_runner_sessions_finished_total", metrics.Counter, "Sessions that ended, by outcome.")
	for _, outcome := range slices.Sorted(maps.Keys(s.Finished)) {
		t.Value(float64(s.Finished[outcome]), "outcome", string(outcome))
	}
	return t
}

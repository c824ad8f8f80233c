package connect

import (
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// faults is a network before the control plane that loses, cuts, repeats and delays.
type faults struct {
	left  atomic.Int64 // so many faults to come
	count [5]atomic.Int64

	mu  sync.Mutex
	row map[string]int // faults of a path, one after the other
}

// inRowMax bounds those: pauses grow with them, to half a minute.
const inRowMax = 3

// due reports whether a request of path meets a fault.
func (f *faults) due(path string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.row[path] >= inRowMax || rand.IntN(3) > 0 || f.left.Add(-1) < 0 {
		f.row[path] = 0
		return false
	}
	f.row[path]++
	return true
}

func (f *faults) meet(w http.ResponseWriter, r *http.Request, serve func(http.ResponseWriter)) bool {
	if !f.due(r.URL.Path) {
		return false
	}
	kind := rand.IntN(len(f.count))
	f.count[kind].Add(1)
	switch kind {
	case 0: // the request is lost
		cut(w)
	case 1: // the answer is lost
		serve(httptest.NewRecorder())
		cut(w)
	case 2: // the answer is cut
		rec := httptest.NewRecorder()
		serve(rec)
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
		cut(w)
	case 3: // it is sent twice
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		if !strings.HasSuffix(r.URL.Path, "/sync") {
			serve(httptest.NewRecorder())
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		return false
	case 4: // it is late, and refused
		time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond)
		w.Header().Set("Retry-After", "0")
		refuseWith(w, 503, api.CodeUnavailable, nil)
	}
	return true
}

// cut ends the connection.
func cut(w http.ResponseWriter) {
	if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
		c.Close()
	}
}

// TestFaultyNetwork: whatever is lost, cut, repeated or late, and though the daemon dies now and
// then, every task ends once and every event arrives once.
func TestFaultyNetwork(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(text string) string {
		if strings.Contains(text, "say hello") {
			return ""
		}
		return strings.Repeat("word ", 20_000)
	})
	f := &faults{row: map[string]int{}}
	f.left.Store(60)
	l.plane.fault = f.meet
	d := l.start()
	var ids []string
	for range 4 {
		ids = append(ids, l.plane.offer(task.Spec{}))
	}
	for i := range 3 {
		for _, id := range ids {
			l.plane.until("the session runs", func() bool { return strings.Contains(l.plane.types(id), "session.started") })
			l.plane.command(id, api.Command{ID: uuid.NewString(), Kind: api.CommandMessage, Text: "say hello again"})
		}
		time.Sleep(time.Duration(rand.IntN(50)) * time.Millisecond)
		if i > 0 {
			l.crash(d)
			d = l.start()
		}
	}
	for _, id := range ids {
		l.plane.command(id, api.Command{Kind: api.CommandMessage, Text: "now"})
	}
	for _, id := range ids {
		if end := l.plane.end(id); end.Outcome != event.Succeeded {
			t.Errorf("ended %+v", end)
		}
	}
	l.forgotten(d)
	for _, id := range ids {
		l.complete(id)
		queued := map[string]int{}
		for _, e := range l.plane.sessions[id].events {
			if e.Type == string(event.TypeCommandQueued) {
				queued[string(e.Data)]++
			}
		}
		for data, n := range queued {
			if n > 1 {
				t.Errorf("%d times: %s", n, data)
			}
		}
		if len(queued) != 6 { // the prompt, four messages, the end
			t.Errorf("%d commands", len(queued))
		}
	}
	var counts []int64
	for i := range f.count {
		counts = append(counts, f.count[i].Load())
	}
	t.Logf("lost requests, lost answers, cut, twice, late: %v", counts)
}

// TestRewind: a control plane that came back with less than it had gets the rest again.
func TestRewind(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(text string) string {
		if strings.Contains(text, "now") {
			return "ended"
		}
		return ""
	})
	d := l.start()
	id := l.plane.offer(task.Spec{})
	l.plane.until("events are there", func() bool { return len(l.plane.sessions[id].events) >= 4 })
	l.plane.set(func() { l.plane.sessions[id].events = l.plane.sessions[id].events[:2] })
	l.plane.command(id, api.Command{Kind: api.CommandMessage, Text: "now"})
	l.plane.end(id)
	l.forgotten(d)
	l.complete(id)
}

// TestSmallBodies: a proxy that takes small bodies only gets small batches.
func TestSmallBodies(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(string) string { return strings.Repeat("word ", 8_000) })
	l.plane.fault = func(w http.ResponseWriter, r *http.Request, _ func(http.ResponseWriter)) bool {
		if r.ContentLength < 90_000 || !strings.HasSuffix(r.URL.Path, "/events") {
			return false
		}
		w.Header().Del(api.HeaderProtocol) // it is the proxy's
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return true
	}
	d := l.start()
	id := l.plane.offer(task.Spec{})
	l.plane.end(id)
	l.forgotten(d)
	if got := l.plane.types(id); !strings.HasSuffix(got, "session.finished") {
		t.Errorf("events %s", got)
	}
}

package connect

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// TestUnknownWhenNothingIsLeftToDo has a control plane, restored from a backup perhaps, that does
// not know a session of which the runner only waits to hear that it is done.
func TestUnknownWhenNothingIsLeftToDo(t *testing.T) {
	for name, spec := range map[string]task.Spec{"declined": {Workspace: "attic"}, "finished": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, func(string) string { return "hello" })
			l.plane.fault = func(w http.ResponseWriter, r *http.Request, _ func(http.ResponseWriter)) bool {
				if !strings.HasSuffix(r.URL.Path, "/sync") {
					return false
				}
				body, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(bytes.NewReader(body))
				var s api.Sync
				if json.Unmarshal(body, &s) != nil || len(s.Sessions) == 0 {
					return false
				}
				l.plane.mu.Lock()
				defer l.plane.mu.Unlock()
				l.plane.takeIn(s)
				id, answer := s.Sessions[0].ID, api.SyncAnswer{}
				h := l.plane.sessions[id]
				if s.Sessions[0].State == task.SessionState(name) && (h == nil || !h.state.Open()) { // it has all of it
					delete(l.plane.sessions, id)
					answer.Stop = []api.Stop{{Session: id, Outcome: event.Lost, Fenced: true}}
				}
				_ = json.NewEncoder(w).Encode(answer)
				return true
			}
			d := l.start()
			l.plane.offer(spec)
			l.plane.until("it is forgotten", func() bool { return len(l.plane.sessions) == 0 && len(d.all()) == 0 })
			d.Drain(false)
			if err := l.wait(d); err != nil {
				t.Error(err)
			}
			if ids, err := d.book.store.Reserved(); len(ids) > 0 || err != nil {
				t.Errorf("leases of %v are left: %v", ids, err)
			}
		})
	}
}

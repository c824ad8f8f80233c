package connect

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// TestSingleLost: a session of this machine's own goes on when another attempt has its lease, of
// which a sync says so first, and keeps nothing for a later connect.
func TestSingleLost(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	l := newLab(t, func(string) string { <-release; return "hello" })
	l.plane.fault = func(w http.ResponseWriter, r *http.Request, _ func(http.ResponseWriter)) bool {
		switch {
		case strings.HasSuffix(r.URL.Path, "/sessions"):
			_ = json.NewEncoder(w).Encode(api.Lease{Token: 7})
		case strings.HasSuffix(r.URL.Path, "/events"):
			refuseWith(w, 503, api.CodeUnavailable, nil)
		default:
			return false // the plane does not know the session: it is fenced
		}
		return true
	}
	d := l.start()
	l.plane.until("a daemon runs", func() bool { return l.plane.syncs > 0 })
	d.kill()
	_ = l.wait(d)
	rt, err := d.Task("shop", "claude")
	if err != nil {
		t.Fatal(err)
	}
	rt.Kind, rt.Prompt, rt.Image = "claude", "hello", "test"
	s, err := d.Runner.Start(t.Context(), rt)
	if err != nil {
		t.Fatal(err)
	}
	single, err := Report(t.Context(), d.Config, s, task.Spec{Prompt: "hello"})
	if err != nil {
		t.Fatal(err)
	}
	l.plane.until("the lease is lost", func() bool { return single.w.snapshot().State == fenced })
	close(release)
	if err := single.Wait(30*time.Second, func() {}); !errors.Is(err, errFenced) {
		t.Errorf("reported with %v", err)
	}
	if end := s.Result(); end.Outcome != event.Succeeded {
		t.Errorf("ended %+v", end)
	}
	if ids, err := d.book.store.Reserved(); len(ids) > 0 || err != nil {
		t.Errorf("leases of %v are left: %v", ids, err)
	}
}

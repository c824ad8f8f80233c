package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// scripted answers requests for events one after the other, each with a text that it
// sends before it cuts the connection; a session's state with state.
type scripted struct {
	*httptest.Server
	mu     sync.Mutex
	script []string
	asked  []string // Last-Event-ID of each request
	state  task.Session
}

func newScripted(t *testing.T, state task.Session, script ...string) (*scripted, *Client) {
	t.Helper()
	s := &scripted{script: script, state: state}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		w.Header().Set(HeaderProtocol, "1")
		if !strings.HasSuffix(r.URL.Path, "/events") {
			fmt.Fprintf(w, `{"id":"s1","state":%q,"last_seq":%d}`, s.state.State, s.state.LastSeq)
			return
		}
		s.asked = append(s.asked, r.Header.Get("Last-Event-ID"))
		if len(s.script) == 0 {
			http.Error(w, "{}", http.StatusInternalServerError)
			return
		}
		text := s.script[0]
		s.script = s.script[1:]
		if code := 0; strings.HasPrefix(text, "status ") {
			_, _ = fmt.Sscanf(text, "status %d", &code)
			w.WriteHeader(code)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write([]byte(text))
		_ = http.NewResponseController(w).Flush()
		if !strings.HasSuffix(text, "bye\n") {
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(s.Close)
	c, err := NewClient(s.URL, "rp_x", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return s, c
}

func sse(seq int, kind string) string {
	return fmt.Sprintf("id: %d\ndata: {\"v\":1,\"session\":\"s1\",\"seq\":%d,\"type\":%q,\"data\":{}}\n\n", seq, seq, kind)
}

// take reads at most all events.
func take(t *testing.T, c *Client, f Follow) (seqs []uint64, err error) {
	t.Helper()
	for e, err := range c.Events(t.Context(), "s1", f) {
		if err != nil {
			return seqs, err
		}
		seqs = append(seqs, e.Seq)
	}
	return seqs, nil
}

// A stream that is cut in the middle of an event, answered by a proxy's error, and
// repeated from too early has every event once.
func TestEventsResume(t *testing.T) {
	t.Parallel()
	broken := 0
	s, c := newScripted(t, task.Session{State: task.Active},
		sse(1, "a")+sse(2, "a")+sse(3, "a")[:20],
		"status 503",
		": ping\n\nretry: 1000\n\n"+sse(2, "a")+sse(3, "a"),
		sse(4, "a")+"event: x\ndata: {\"seq\":5,\ndata: \"type\":\"session.finished\"}\n\n"+sse(6, "a"))
	got, err := take(t, c, Follow{Broken: func(error) { broken++ }})
	if err != nil || !slices.Equal(got, []uint64{1, 2, 3, 4, 5}) {
		t.Errorf("got %v, %v", got, err)
	}
	if !slices.Equal(s.asked, []string{"", "2", "2", "3"}) || broken != 2 {
		t.Errorf("asked after %q, %d broken", s.asked, broken)
	}
}

func TestEventsUntil(t *testing.T) {
	t.Parallel()
	_, c := newScripted(t, task.Session{State: task.Active}, sse(3, "a")+sse(4, "a")+sse(5, "a"))
	if got, err := take(t, c, Follow{After: 2, Until: 4}); err != nil || !slices.Equal(got, []uint64{3, 4}) {
		t.Errorf("got %v, %v", got, err)
	}
}

// What is wrong for good ends the stream with an error.
func TestEventsErrors(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		script string
		want   string
	}{
		"gap":          {sse(1, "a") + sse(3, "a"), "event 3 follows event 1"},
		"no JSON":      {"data: {\n\n", "damaged"},
		"endless line": {"data: " + strings.Repeat("x", sseLineMax+1), "longer than"},
		"endless data": {strings.Repeat("data: "+strings.Repeat("x", 1<<20)+"\n", 6), "longer than"},
		"no type":      {strings.Replace(sse(1, "a"), `"type":"a"`, `"type":"a\",\u001b"`, 1), "has no type"},
		"revoked":      {"status 401", "401"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, c := newScripted(t, task.Session{State: task.Active}, tc.script)
			if got, err := take(t, c, Follow{}); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

// A session that was lost has no last event.
func TestEventsNoEnd(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{"at a ping": sse(1, "a") + ": ping\n\n" + sse(2, "a"), "at the end": sse(1, "a") + ": bye\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, c := newScripted(t, task.Session{State: task.Gone, LastSeq: 1}, script)
			got, err := take(t, c, Follow{})
			if !errors.Is(err, ErrNoEnd) || !slices.Equal(got, []uint64{1}) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

// Whoever has seen enough ends the stream.
func TestEventsStop(t *testing.T) {
	t.Parallel()
	_, c := newScripted(t, task.Session{State: task.Active}, sse(1, "a")+sse(2, "a"))
	for e := range c.Events(t.Context(), "s1", Follow{}) {
		if e.Seq != 1 {
			t.Errorf("went on with %d", e.Seq)
		}
		break
	}
}

package api

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// A task whose answer is lost, and that comes when the control plane is busy, is sent
// again with the same key.
func TestAddTaskAgain(t *testing.T) {
	t.Parallel()
	var keys []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keys = append(keys, r.Header.Get(HeaderKey))
		w.Header().Set(HeaderProtocol, "1")
		switch len(keys) {
		case 1:
			panic(http.ErrAbortHandler)
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			fmt.Fprint(w, `{"id":"t1","prompt":"x","state":"queued"}`)
		}
	}))
	defer s.Close()
	c, err := NewClient(s.URL, "rp_x", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, err := c.AddTask(t.Context(), task.Spec{Prompt: "x"}, "k")
	if err != nil || got.ID != "t1" || cmp.Diff([]string{"k", "k", "k"}, keys) != "" {
		t.Errorf("got %+v, %v; keys %q", got, err, keys)
	}
}

// What the control plane refuses is not sent again, nor what nobody takes.
func TestNotAgain(t *testing.T) {
	t.Parallel()
	tries := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tries++
		w.Header().Set(HeaderProtocol, "1")
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"error":{"code":"conflict","message":"it has ended"}}`)
	}))
	c, err := NewClient(s.URL, "rp_x", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Command(t.Context(), "s1", NewCommand{ID: "c"}); err == nil || err.Error() != "it has ended" || tries != 1 {
		t.Errorf("%v after %d tries", err, tries)
	}
	s.Close()
	if _, err := c.Command(t.Context(), "s1", NewCommand{ID: "c"}); err == nil {
		t.Error("nobody listens, and there is no error")
	}
}

// Ids are input: they stay in their place of the path.
func TestPaths(t *testing.T) {
	t.Parallel()
	if got, want := under("tasks", "../x?y#z/%2f", "cancel"), "/api/v1/tasks/..%2Fx%3Fy%23z%2F%252f/cancel"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := (Page{State: "queued", Limit: 5, Before: "a&b"}).query(), "?before=a%26b&limit=5&state=queued"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

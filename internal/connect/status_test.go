package connect

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sprawlto/ratchetai-runner/internal/task"
)

func TestStatus(t *testing.T) {
	t.Parallel()
	l := newLab(t, func(text string) string {
		if strings.Contains(text, "stay") {
			return ""
		}
		return "hello"
	})
	d := l.start()
	l.plane.end(l.plane.offer(task.Spec{Title: "one"}))
	id := l.plane.offer(task.Spec{Prompt: "stay"})
	l.plane.untilState(id, task.Active)
	server := httptest.NewServer(d.Handler())
	defer server.Close()
	get := func(path string) (int, string) {
		r, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, _ := io.ReadAll(r.Body)
		return r.StatusCode, string(body)
	}
	l.plane.until("the first is forgotten", func() bool { return len(d.Status().Sessions) == 1 })
	_, body := get("/status")
	var s Status
	if err := json.Unmarshal([]byte(body), &s); err != nil || !s.Connected || s.Name != "nas" || s.Sessions[0].State != task.Active || s.Sessions[0].ID != id || s.Finished["succeeded"] != 1 {
		t.Errorf("status %s, %v", body, err)
	}
	_, metrics := get("/metrics")
	for _, want := range []string{"ratchet_runner_connected 1", "ratchet_runner_ready 1", `ratchet_runner_sessions{state="running"} 1`, `ratchet_runner_sessions_finished_total{outcome="succeeded"} 1`} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("no %s in\n%s", want, metrics)
		}
	}
	if code, _ := get("/healthz"); code != 200 {
		t.Errorf("health %d", code)
	}
	l.plane.server.CloseClientConnections()
	l.plane.server.Close()
	l.plane.until("the control plane is away", func() bool { return !d.Status().Connected })
	if code, _ := get("/healthz"); code != 503 {
		t.Errorf("health %d", code)
	}
}

func TestNotify(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := Notify(name, "READY=1"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	if n, err := c.Read(b); err != nil || string(b[:n]) != "READY=1" {
		t.Errorf("got %q, %v", b[:n], err)
	}
	if err := Notify("", "READY=1"); err != nil {
		t.Error(err)
	}
	if err := Notify(name+"x", "READY=1"); err == nil {
		t.Error("nobody listens, and there is no error")
	}
}

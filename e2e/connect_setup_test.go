//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/sprawlto/ratchetai-runner/e2e/world"
	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// controlPlane is a real one, in a process of its own, with a person and a device.
type controlPlane struct {
	b        *bundle
	url      string
	args     []string
	process  *child
	person   *api.Client
	device   string // token
	deviceID string
}

// controlPlane starts one for b.
func (b *bundle) controlPlane() *controlPlane {
	b.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	password := filepath.Join(b.base, "password")
	if err := os.WriteFile(password, []byte("correct horse battery\n"), 0o600); err != nil {
		b.t.Fatal(err)
	}
	p := &controlPlane{b: b, url: "http://" + address, args: []string{
		"serve", "--listen", address, "--data", filepath.Join(b.base, "plane"), "--admin-name", "owner", "--admin-password-file", password,
	}}
	p.start()
	b.t.Cleanup(func() { p.stop(syscall.SIGTERM) })
	token := p.signIn("owner", "correct horse battery")
	if p.person, err = api.NewClient(p.url, token, nil); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(p.person.Close)
	made, err := p.person.AddToken(b.t.Context(), api.Devices, api.NewToken{Name: "nas"})
	if err != nil {
		b.t.Fatal(err)
	}
	p.device, p.deviceID = made.Secret, made.ID
	return p
}

func (p *controlPlane) start() {
	p.b.t.Helper()
	p.process = p.b.start(p.args...)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		// healthz answers before there is an owner.
		resp, err := http.Post(p.url+"/api/v1/login", "application/json", strings.NewReader(`{"name":"owner","password":"correct horse battery"}`))
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode < 300 {
				return
			}
		}
		if time.Now().After(deadline) {
			p.b.t.Fatalf("the control plane does not start: %s", &p.process.stderr)
		}
	}
}

func (p *controlPlane) stop(s syscall.Signal) {
	_ = p.process.Process.Signal(s)
	_ = p.process.Wait()
}

// signIn makes a personal token as a browser does.
func (p *controlPlane) signIn(name, password string) string {
	p.b.t.Helper()
	post := func(path string, in, out any, cookies []*http.Cookie) []*http.Cookie {
		body, _ := json.Marshal(in)
		r, _ := http.NewRequest(http.MethodPost, p.url+path, bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		for _, c := range cookies {
			r.AddCookie(c)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			p.b.t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode >= 300 {
			p.b.t.Fatalf("%s: %s", path, resp.Status)
		}
		if out != nil {
			_ = json.NewDecoder(resp.Body).Decode(out)
		}
		return resp.Cookies()
	}
	cookies := post("/api/v1/login", map[string]string{"name": name, "password": password}, nil, nil)
	var made api.CreatedToken
	post("/api/v1/tokens", api.NewToken{Name: "test"}, &made, cookies)
	return made.Secret
}

// connect starts a daemon for b's workspace; more flags win.
func (p *controlPlane) connect(more ...string) *child {
	p.b.t.Helper()
	p.b.env["RATCHET_DEVICE_TOKEN"] = p.device
	args := []string{
		"connect", "--url", p.url, "--name", "nas", "--workspace", "project=" + p.b.ws + ",shared", "--credentials", "env",
		"--env", p.b.baseVar() + "=" + p.b.baseURL(), "--allow-host", gateway(p.b.api.URL()), "--timeout", sessionMax.String(), "--capacity", "4",
	}
	c := p.b.start(append(args, more...)...)
	p.b.t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
		if p.b.t.Failed() {
			p.b.t.Logf("connect said:\n%s", &c.stderr)
		}
	})
	return c
}

// heard waits until c has reported, so that it takes signals.
func (p *controlPlane) heard(c *child) {
	p.b.t.Helper()
	for deadline := time.Now().Add(sessionMax); !strings.Contains(c.stderr.String(), "connected to"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.b.t.Fatal("connect does not report")
		}
	}
}

// add queues a task for b's agent.
func (p *controlPlane) add(spec task.Spec) task.Task {
	p.b.t.Helper()
	if spec.Prompt == "" {
		spec.Prompt = "Do what the script says."
	}
	spec.Agent = string(p.b.kind)
	t, err := p.person.AddTask(p.b.t.Context(), spec, "")
	if err != nil {
		p.b.t.Fatal(err)
	}
	return t
}

// until waits for something of a task.
func (p *controlPlane) until(id, what string, ok func(api.TaskDetail) bool) api.TaskDetail {
	p.b.t.Helper()
	var last api.TaskDetail
	for deadline := time.Now().Add(sessionMax); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		d, err := p.person.Task(p.b.t.Context(), id)
		if err != nil {
			continue // the control plane is away
		}
		if last = d; ok(d) {
			return d
		}
	}
	p.b.t.Fatalf("task %s is not %s: %+v", id, what, last)
	panic("unreachable")
}

func (p *controlPlane) finished(id string) api.TaskDetail {
	p.b.t.Helper()
	return p.until(id, "finished", func(d api.TaskDetail) bool { return d.State == task.Finished })
}

// same checks that the control plane has the session's journal, event for event.
func (p *controlPlane) same(session string) {
	p.b.t.Helper()
	got, err := world.Compare(p.b.store.Journal(session), p.stored(session))
	if err != nil || got.Missing > 0 {
		p.b.t.Errorf("session %s: %v; %d events are missing at its end", session, err, got.Missing)
	}
}

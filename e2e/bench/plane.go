package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
)

const ownerPassword = "a password of the benchmark"

// plane is a control plane: the program under test as a process of its own, so that
// its processor time and memory are not the load's.
type plane struct {
	program, dir, url string
	cmd               *exec.Cmd
	said              chan struct{} // closed when the process says nothing more
	owner             *api.Client   // a person's, nil before the first start
}

// diskDir is where files are on a disk, as a database is; the directory of temporary files
// may be in memory.
const diskDir = "/var/tmp"

// plane starts one with an empty database. The caller closes it.
func (l *lab) plane(ctx context.Context) (*plane, error) {
	dir, err := os.MkdirTemp(diskDir, "ratchetai-bench-plane-")
	if err != nil {
		return nil, err
	}
	p := &plane{program: l.program, dir: dir}
	err = os.WriteFile(p.password(), []byte(ownerPassword), 0o600)
	if err == nil {
		err = p.start(ctx)
	}
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	if err := p.signIn(ctx); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *plane) password() string { return filepath.Join(p.dir, "password") }

// start starts the process and returns when it answers, at the address that it had before.
func (p *plane) start(ctx context.Context) error {
	listen := "127.0.0.1:0"
	if p.url != "" {
		listen = strings.TrimPrefix(p.url, "http://")
	}
	p.cmd = exec.CommandContext(ctx, p.program, "serve", "--data", filepath.Join(p.dir, "data"), "--listen", listen,
		"--admin-name", "bench", "--admin-password-file", p.password())
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	var trouble tail
	p.cmd.Stderr = &trouble
	if err := p.cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewReader(stdout)
	first, err := lines.ReadString('\n')
	p.said = make(chan struct{})
	go func() {
		defer close(p.said)
		_, _ = io.Copy(io.Discard, lines)
	}()
	url, ok := strings.CutPrefix(strings.TrimSpace(first), "control plane: ")
	if !ok {
		p.kill()
		return fmt.Errorf("serve said %q, %q (%w)", first, trouble.String(), err)
	}
	p.url = strings.TrimRight(url, "/")
	return nil
}

// signIn makes a personal token, as a browser would.
func (p *plane) signIn(ctx context.Context) error {
	c, err := api.NewClient(p.url, "", nil)
	if err != nil {
		return err
	}
	defer c.Close()
	body := fmt.Sprintf(`{"name":"bench","password":%q}`, ownerPassword)
	resp, err := c.Send(ctx, http.MethodPost, "/api/v1/login", http.Header{"Content-Type": {"application/json"}}, strings.NewReader(body))
	if err != nil {
		return err
	}
	resp.Body.Close()
	if len(resp.Cookies()) == 0 {
		return errors.New("the log-in answers no cookie")
	}
	cookie := resp.Cookies()[0]
	made, err := c.Send(ctx, http.MethodPost, "/api/v1/tokens", http.Header{"Content-Type": {"application/json"}, "Cookie": {cookie.Name + "=" + cookie.Value}},
		strings.NewReader(`{"name":"bench"}`))
	if err != nil {
		return err
	}
	defer made.Body.Close()
	t, err := decode[api.CreatedToken](made.Body)
	if err != nil {
		return err
	}
	p.owner, err = api.NewClient(p.url, t.Secret, nil)
	return err
}

// kill ends the process as a crash would, if there is one.
func (p *plane) kill() {
	if p.cmd.Process == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.said
	_ = p.cmd.Wait()
}

func (p *plane) close() {
	p.kill()
	if p.owner != nil {
		p.owner.Close()
	}
	_ = os.RemoveAll(p.dir)
}

// tail is a writer that keeps the last of what comes.
type tail struct {
	mu   sync.Mutex
	text string
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text += string(b)
	t.text = t.text[max(0, len(t.text)-4<<10):]
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text
}

// watched is what a process used while something went on.
type watched struct {
	cores float64 // of processor time per time
	cpu   time.Duration
	rss   int64 // kB, the highest
	dirty int64 // kB of private memory, at the end
}

// watch measures process pid until stop is called.
func watch(pid int) (stop func() (watched, error)) {
	before, err := cpuOf(pid)
	began := time.Now()
	end := make(chan struct{})
	var peak int64
	var sampling sync.WaitGroup
	sampling.Go(func() {
		for {
			if kb, err := procField(pid, "status", "VmRSS"); err == nil {
				peak = max(peak, kb)
			}
			select {
			case <-end:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	return func() (watched, error) {
		took := time.Since(began)
		after, err2 := cpuOf(pid)
		close(end)
		sampling.Wait()
		dirty, err3 := procField(pid, "smaps_rollup", "Private_Dirty")
		w := watched{cpu: after - before, rss: peak, dirty: dirty}
		w.cores = w.cpu.Seconds() / took.Seconds()
		return w, errors.Join(err, err2, err3)
	}
}

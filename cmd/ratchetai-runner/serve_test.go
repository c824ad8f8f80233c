package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serving is serve in this process.
type serving struct {
	t     *testing.T
	env   map[string]string
	out   *bufio.Reader
	stop  context.CancelFunc
	ended chan int
	err   string // file
}

func serve(t *testing.T, state string, args ...string) *serving {
	t.Helper()
	s := &serving{t: t, env: map[string]string{"RATCHETAI_STATE_DIR": state, "HOME": state}, ended: make(chan int, 1), err: filepath.Join(t.TempDir(), "stderr")}
	ctx, cancel := context.WithCancel(t.Context())
	s.stop = cancel
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := os.Create(s.err)
	if err != nil {
		t.Fatal(err)
	}
	s.out = bufio.NewReader(out)
	go func() {
		defer w.Close()
		s.ended <- run(ctx, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...), s.lookup, streams{Out: &stdout{File: w}, Err: stderr})
	}()
	t.Cleanup(func() { cancel(); out.Close(); stderr.Close() })
	return s
}

func (s *serving) lookup(key string) (string, bool) { v, ok := s.env[key]; return v, ok }

// line is the next line of stdout, behind what it has to begin with.
func (s *serving) line(prefix string) string {
	s.t.Helper()
	line, err := s.out.ReadString('\n')
	rest, ok := strings.CutPrefix(strings.TrimSpace(line), prefix)
	if !ok {
		stderr, _ := os.ReadFile(s.err)
		s.t.Fatalf("%q instead of %q: %v\n%s", line, prefix, err, stderr)
	}
	return rest
}

// other runs another command with the same environment.
func (s *serving) other(args ...string) (code int, text string) {
	s.t.Helper()
	f, err := os.CreateTemp(s.t.TempDir(), "")
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	code = run(s.t.Context(), args, s.lookup, streams{Out: &stdout{File: f}, Err: f})
	data, err := os.ReadFile(f.Name())
	if err != nil {
		s.t.Fatal(err)
	}
	return code, string(data)
}

func (s *serving) wait() (stderr string) {
	s.t.Helper()
	s.stop()
	select {
	case code := <-s.ended:
		data, err := os.ReadFile(s.err)
		if code != 0 || err != nil {
			s.t.Fatalf("serve ended with %d: %v %s", code, err, data)
		}
		return string(data)
	case <-time.After(30 * time.Second):
		s.t.Fatal("serve does not end")
	}
	return ""
}

func TestServe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serve(t, dir)
	url := s.line("control plane: ")
	link := s.line("make its owner, once: ")
	if !strings.HasPrefix(link, url+"/setup?token=rs_") {
		t.Errorf("%s, %s", url, link)
	}
	resp, err := http.Get(link)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if !strings.Contains(string(text), "Make the owner") {
		t.Errorf("%s", text)
	}
	if code, text := s.other("serve", "--listen", "127.0.0.1:0"); code != exitErrored || !strings.Contains(text, "another process uses this data directory") {
		t.Errorf("%d %s", code, text)
	}

	// A backup while it runs, restored elsewhere.
	copied, elsewhere := filepath.Join(dir, "copy.tar"), filepath.Join(dir, "elsewhere")
	if code, text := s.other("serve", "backup", copied); code != 0 {
		t.Fatalf("%d %s", code, text)
	}
	if code, text := s.other("serve", "restore", "--data", elsewhere, copied); code != 0 {
		t.Fatalf("%d %s", code, text)
	}
	if code, text := s.other("serve", "restore", "--data", elsewhere, copied); code != exitUsage || !strings.Contains(text, "has a database already") {
		t.Errorf("%d %s", code, text)
	}
	if stderr := s.wait(); stderr != "" {
		t.Errorf("%s", stderr)
	}

	// The next start prints another link, the first is over.
	s = serve(t, dir)
	s.line("control plane: ")
	if again := s.line("make its owner, once: "); again[strings.Index(again, "rs_"):] == link[strings.Index(link, "rs_"):] {
		t.Errorf("the same link: %s", again)
	}
	s.wait()
}

func TestServeWithOwnerForOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte("correct horse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	owner := []string{"--admin-name", "alice", "--admin-password-file", password}
	s := serve(t, dir, append(owner, "--listen", "0.0.0.0:0")...)
	url := s.line("control plane: ")
	resp, err := http.Post(url+"/api/v1/login", "application/json", strings.NewReader(`{"name":"alice","password":"correct horse"}`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("the owner logs in: %s", resp.Status)
	}
	if stderr := s.wait(); !strings.Contains(stderr, "without TLS") {
		t.Errorf("%s", stderr)
	}
	if rest, _ := io.ReadAll(s.out); len(rest) > 0 {
		t.Errorf("%s", rest)
	}
	s = serve(t, dir, append(owner, "--listen", "0.0.0.0:0", "--public-url", "https://example.org/ratchet")...)
	if url := s.line("control plane: "); url != "https://example.org/ratchet" {
		t.Error(url)
	}
	if stderr := s.wait(); stderr != "" {
		t.Errorf("%s", stderr)
	}
}

//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sirupsen/logrus"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/credential"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// sessionMax bounds one session of a test, so that a hanging one fails alone.
const sessionMax = 90 * time.Second

// person is who owns the workspaces when the tests run as root.
const person = 1000

// bundle is everything that one test has for itself.
type bundle struct {
	t     *testing.T
	kind  agent.Kind
	api   *modelapi.Server
	token string // fake; its script in api is the session's
	base  string // temporary directory of everything below
	ws    string // workspace
	home  string // of the person who runs the runner: no login in it
	store *runner.Store
	env   map[string]string // of the runner, in place of this process's
	allow []string          // more egress rules
}

// setup returns a fresh bundle whose session plays turns. The inspection of
// what is left runs when the test ends.
func setup(t *testing.T, kind agent.Kind, turns ...modelapi.Turn) *bundle {
	t.Helper()
	api, err := modelapi.New(modelapi.Text("(the test's token has no script)"))
	if err != nil {
		t.Fatal(err)
	}
	b := &bundle{t: t, kind: kind, api: api, base: t.TempDir(), token: fakeToken(kind)}
	api.Script(b.token, turns...)
	b.home = filepath.Join(b.base, "person")
	b.ws = b.workspace("project")
	if err := os.Mkdir(b.home, 0o700); err != nil {
		t.Fatal(err)
	}
	b.store, err = runner.OpenStore(filepath.Join(b.base, "state"))
	if err != nil {
		t.Fatal(err)
	}
	b.env = map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": b.home, "LANG": "C.UTF-8",
		"RATCHETAI_STATE_DIR": filepath.Join(b.base, "state"),
		loginVar(kind):        b.token,
	}
	for _, name := range []string{"DOCKER_HOST", "SSL_CERT_FILE"} {
		if v := os.Getenv(name); v != "" {
			b.env[name] = v
		}
	}
	// In this order: the inspection needs the store, and the runner's child
	// processes need the API.
	t.Cleanup(func() { api.Close() })
	t.Cleanup(b.inspectAll)
	return b
}

// bothAgents runs test once for each agent.
func bothAgents(t *testing.T, test func(t *testing.T, kind agent.Kind)) {
	t.Parallel()
	for _, kind := range []agent.Kind{agent.Claude, agent.Codex} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			test(t, kind)
		})
	}
}

func fakeToken(kind agent.Kind) string {
	random := strings.ReplaceAll(uuid.NewString()+uuid.NewString(), "-", "")
	if kind == agent.Claude {
		return "sk-ant-oat01-FAKE" + random
	}
	return "sk-proj-FAKE" + random
}

func loginVar(kind agent.Kind) string {
	if kind == agent.Claude {
		return "CLAUDE_CODE_OAUTH_TOKEN"
	}
	return "OPENAI_API_KEY"
}

// workspace makes a directory that belongs to an ordinary user.
func (b *bundle) workspace(name string) string {
	b.t.Helper()
	dir := filepath.Join(b.base, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
	b.give(dir)
	return dir
}

// give makes path the person's.
func (b *bundle) give(path string) {
	b.t.Helper()
	if os.Getuid() != 0 {
		return
	}
	if err := os.Lchown(path, person, person); err != nil {
		b.t.Fatal(err)
	}
}

// write makes a file of the person's in the workspace.
func (b *bundle) write(name, content string) {
	b.t.Helper()
	path := filepath.Join(b.ws, name)
	for dir := filepath.Dir(path); dir != b.ws; dir = filepath.Dir(dir) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.t.Fatal(err)
		}
		b.give(dir)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		b.t.Fatal(err)
	}
	b.give(path)
}

// read returns a file of the workspace, "" if there is none.
func (b *bundle) read(name string) string {
	b.t.Helper()
	data, err := os.ReadFile(filepath.Join(b.ws, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		b.t.Error(err)
	}
	return string(data)
}

// gateway is where the sandbox reaches this process's port of url.
func gateway(url string) string {
	return "host.ratchet.internal:" + url[strings.LastIndexByte(url, ':')+1:]
}

// baseURL is the API as the agent sees it, baseVar the variable that names it.
func (b *bundle) baseURL() string {
	url := "http://" + gateway(b.api.URL())
	if b.kind == agent.Codex {
		url += "/v1"
	}
	return url
}

func (b *bundle) baseVar() string {
	if b.kind == agent.Codex {
		return "OPENAI_BASE_URL"
	}
	return "ANTHROPIC_BASE_URL"
}

// runArgs is `run` for this bundle; more flags win over the ones before.
func (b *bundle) runArgs(more ...string) []string {
	args := []string{
		"run", "--json", "--model", string(b.kind), "--cwd", b.ws, "--prompt", "Do what the script says.",
		"--credentials", "env", "--env", b.baseVar() + "=" + b.baseURL(),
		"--allow-host", gateway(b.api.URL()), "--timeout", sessionMax.String(),
	}
	for _, rule := range b.allow {
		args = append(args, "--allow-host", rule)
	}
	return append(args, more...)
}

// command prepares the binary; the caller starts it.
func (b *bundle) command(args ...string) *exec.Cmd {
	cmd := exec.Command(built.binary, args...)
	cmd.Dir = b.base
	for k, v := range b.env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	return cmd
}

// sweep runs a session that has nothing to do with b's own: every run cleans up
// after dead runners.
func (b *bundle) sweep() {
	b.t.Helper()
	b.api.Script(b.token, modelapi.Text("swept"))
	ids := len(b.sessions())
	b.run(b.runArgs()...).want(b.t, 0)
	if n := len(b.sessions()); n != ids+1 {
		b.t.Errorf("%d sessions after one more than %d", n, ids)
	}
}

// result is how a run of the binary ended.
type result struct {
	code           int
	stdout, stderr string
	took           time.Duration
	events         []line
}

// line is one event as --json prints it.
type line struct {
	Seq     uint64          `json:"seq"`
	Time    time.Time       `json:"time"`
	Session string          `json:"session"`
	Type    event.Type      `json:"type"`
	Data    json.RawMessage `json:"data"`
	Raw     json.RawMessage `json:"raw"`
}

// run runs the binary to its end.
func (b *bundle) run(args ...string) result {
	b.t.Helper()
	return b.finish(b.start(args...))
}

// child is a running binary.
type child struct {
	*exec.Cmd
	stdout  bytes.Buffer
	stderr  output
	started time.Time
}

// output can be read while it is written.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (b *bundle) start(args ...string) *child {
	b.t.Helper()
	c := &child{Cmd: b.command(args...), started: time.Now()}
	c.Stdout, c.Stderr = &c.stdout, &c.stderr
	if err := c.Start(); err != nil {
		b.t.Fatal(err)
	}
	return c
}

// finish waits for c and ends it when it takes too long.
func (b *bundle) finish(c *child) result {
	b.t.Helper()
	guard := time.AfterFunc(sessionMax+60*time.Second, func() {
		b.t.Errorf("%v did not end", c.Args)
		_ = c.Process.Kill()
	})
	defer guard.Stop()
	err := c.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		b.t.Fatal(err)
	}
	r := result{code: c.ProcessState.ExitCode(), stdout: c.stdout.String(), stderr: c.stderr.String(), took: time.Since(c.started)}
	if strings.HasPrefix(r.stdout, "{") {
		r.events = decodeLines(b.t, r.stdout)
	}
	return r
}

func decodeLines(t *testing.T, text string) []line {
	t.Helper()
	var lines []line
	for _, s := range strings.Split(strings.TrimSpace(text), "\n") {
		var l line
		if err := json.Unmarshal([]byte(s), &l); err != nil {
			t.Fatalf("stdout of --json is no NDJSON: %v: %.200s", err, s)
		}
		lines = append(lines, l)
	}
	return lines
}

// want fails the test unless the run ended with code, and shows why it did not.
func (r result) want(t *testing.T, code int) {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit code %d, want %d\nstderr: %s\n%s", r.code, code, r.stderr, r.story())
	}
}

// story is what tells why a session ended as it did.
func (r result) story() string {
	var b strings.Builder
	for _, e := range r.events {
		switch e.Type {
		case event.TypeToolStarted, event.TypeToolFinished, event.TypeNotice, event.TypeEgressAllowed, event.TypeEgressDenied, event.TypeTurnFinished, event.TypeSessionFinished:
			fmt.Fprintf(&b, "%d %s %s %.700s\n", e.Seq, e.Time.Format("05.000"), e.Type, e.Data)
		}
	}
	return b.String()
}

// signal interrupts c as Ctrl-C does.
func (c *child) signal(s syscall.Signal) { _ = c.Process.Signal(s) }

// runner is a runner in this process, for what the command line does not offer.
func (b *bundle) runner() *runner.Runner {
	b.t.Helper()
	engine, err := sandbox.NewDocker("")
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { engine.Close() })
	return newRunner(engine, b.store, b.env)
}

func newRunner(engine sandbox.Engine, store *runner.Store, env map[string]string) *runner.Runner {
	log := logrus.New()
	log.SetOutput(os.Stderr)
	getenv := func(name string) string { return env[name] }
	return &runner.Runner{
		Store: store, Engine: engine, Log: log, Getenv: getenv, Home: env["HOME"], CA: runner.SystemCA(os.Getenv),
	}
}

// task is what runArgs asks for.
func (b *bundle) task() runner.Task {
	b.t.Helper()
	return runner.Task{
		Prompt: "Do what the script says.", Kind: b.kind, BaseURL: b.baseURL(), Workspace: b.ws, User: b.user(),
		Image: built.image, Allow: append([]string{gateway(b.api.URL())}, b.allow...), Login: credential.ModeEnv,
		Timeout: sessionMax,
	}
}

func (b *bundle) user() string {
	b.t.Helper()
	user, err := runner.WorkspaceUser(b.ws)
	if err != nil {
		b.t.Fatal(err)
	}
	return user
}

// startSession begins a session in this process.
func (b *bundle) startSession() *runner.Session {
	b.t.Helper()
	s, err := b.runner().Start(b.t.Context(), b.task())
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// end waits for s.
func (b *bundle) end(s *runner.Session) event.SessionFinished {
	b.t.Helper()
	select {
	case <-s.Done():
	case <-time.After(sessionMax + 30*time.Second):
		b.t.Fatal("the session did not end")
	}
	return s.Result()
}

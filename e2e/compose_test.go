//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// box is a home server: docker-compose.yml as it is in the repository, of the binary
// under test.
type box struct {
	t       *testing.T
	compose []string // the program and what names the project
	env     []string
	name    string // the project's, and the image's tag
	runner  string // the runner's container
	ws      string // directory that is /projects in there
	api     *modelapi.Server
	apiAddr string
	token   string
}

// project is a workspace whose name looks like more than one.
const project = "my, project:1"

// newBox starts one whose model plays turns.
func newBox(t *testing.T, turns ...modelapi.Turn) *box {
	t.Helper()
	b := &box{t: t, name: "ratchetai-box-" + uuid.NewString()[:8], ws: t.TempDir(), token: fakeToken(agent.Claude)}
	b.serveModel(turns)
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 {
		uid, gid = person, person
	}
	if err := os.Mkdir(filepath.Join(b.ws, project), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{b.ws, filepath.Join(b.ws, project)} {
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	b.buildImage()
	override := filepath.Join(t.TempDir(), "override.yml")
	b.compose = append(composeProgram(t), "-p", b.name, "-f", "../docker-compose.yml", "-f", override)
	b.env = append(os.Environ(), "RATCHETAI_PROJECTS="+b.ws, fmt.Sprintf("RATCHETAI_USER=%d:%d", uid, gid), "RATCHETAI_PUBLISH="+freePort(t))
	// The image under test; the machine's certificates, so that sessions' images are those of
	// the other tests; a login and a model.
	text := fmt.Sprintf(`services:
  runner:
    image: %[1]s
    command:
      - up
      - --listen=0.0.0.0:7717
      - "--workspace=shop=/projects/%[4]s"
      - --env=ANTHROPIC_BASE_URL=http://%[5]s
      - --allow-host=%[5]s
      - --credentials=env
    environment: {CLAUDE_CODE_OAUTH_TOKEN: %[2]s}
    volumes: ["%[3]s:/etc/ssl/certs/ca-certificates.crt:ro"]
  engine-proxy:
    image: %[1]s
`, b.name, b.token, runner.SystemCA(os.Getenv), project, b.apiAddr)
	if err := os.WriteFile(override, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			_, logs, _ := b.try(append(b.compose, "logs")...)
			t.Log(logs)
		}
		b.do(append(b.compose, "down", "-v", "-t", "2")...)
	})
	b.do(append(b.compose, "up", "-d", "--no-build")...)
	b.runner = strings.TrimSpace(b.do(append(b.compose, "ps", "-q", "runner")...))
	return b
}

// serveModel starts the model's API where containers reach it.
func (b *box) serveModel(turns []modelapi.Turn) {
	b.t.Helper()
	api, err := modelapi.New()
	if err != nil {
		b.t.Fatal(err)
	}
	gateway := strings.TrimSpace(b.do("docker", "network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Gateway}}"))
	l, err := net.Listen("tcp", gateway+":0")
	if err != nil {
		b.t.Fatal(err)
	}
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: api}}
	server.Start()
	b.t.Cleanup(func() {
		api.Close() // hanging replies first
		server.CloseClientConnections()
		server.Close()
	})
	api.Script(b.token, turns...)
	b.api, b.apiAddr = api, l.Addr().String()
}

// buildImage builds the Dockerfile around the binary under test, from an image that is here.
func (b *box) buildImage() {
	b.t.Helper()
	engine, err := sandbox.NewDocker("")
	if err != nil {
		b.t.Fatal(err)
	}
	defer engine.Close()
	wanted, err := runner.Builder{Engine: engine, Program: built.binary, CA: runner.SystemCA(os.Getenv)}.Wanted(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	dir := b.t.TempDir()
	for name, from := range map[string]string{"Dockerfile": "../Dockerfile", ".dockerignore": "../.dockerignore", "prebuilt": built.binary} {
		data, err := os.ReadFile(from)
		if err != nil {
			b.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o755); err != nil {
			b.t.Fatal(err)
		}
	}
	b.do("docker", "build", "-q", "--build-arg", "GO="+wanted[0], "-t", b.name, dir)
	b.t.Cleanup(func() { b.do("docker", "rmi", b.name) })
}

// composeProgram is what the machine has of Docker Compose.
func composeProgram(t *testing.T) []string {
	t.Helper()
	if exec.Command("docker", "compose", "version").Run() == nil {
		return []string{"docker", "compose"}
	}
	if _, err := exec.LookPath("docker-compose"); err == nil {
		return []string{"docker-compose"}
	}
	t.Fatal("Docker Compose is missing; e2e/setup.sh installs it")
	return nil
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// do runs a command that has to succeed and returns its stdout.
func (b *box) do(command ...string) string {
	b.t.Helper()
	code, stdout, stderr := b.try(command...)
	if code != 0 {
		b.t.Fatalf("%q: exit code %d: %s", command, code, stderr)
	}
	return stdout
}

func (b *box) try(command ...string) (code int, stdout, stderr string) {
	b.t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(b.env, "DOCKER_BUILDKIT=0"), &out, &errs
	guard := time.AfterFunc(sessionMax+30*time.Second, func() { _ = cmd.Process.Kill() })
	defer guard.Stop()
	if err := cmd.Run(); cmd.ProcessState == nil {
		b.t.Fatalf("%q: %v", command, err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// inside is a command of the program's in the runner's container.
func (b *box) inside(args ...string) []string {
	return append([]string{"docker", "exec", b.runner, "ratchetai-runner"}, args...)
}

// healthy waits until the container's health check succeeds.
func (b *box) healthy() {
	b.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		code, _, stderr := b.try(b.inside("health", "http://127.0.0.1:7717/readyz")...)
		if code == 0 {
			return
		}
		if time.Now().After(end) {
			b.t.Fatalf("not healthy: %s\n%s", stderr, b.do("docker", "logs", b.runner))
		}
	}
}

// TestCompose is the whole of a home server: what sessions write is the person's, the
// runner may die in a session, and what the machine does not see is refused.
func TestCompose(t *testing.T) {
	t.Parallel()
	b := newBox(t,
		modelapi.Shell("id -u > made.txt; cat $SSL_CERT_FILE >/dev/null && echo seen >> made.txt"), modelapi.Text("first"),
		modelapi.Shell("echo going > going.txt; sleep 4"), modelapi.Text("second"))
	b.healthy()
	if out := b.do(b.inside("task", "add", "--follow", "--quiet", "--prompt", "Do what the script says.")...); strings.TrimSpace(out) != "first" {
		t.Errorf("the session says %q", out)
	}
	made := filepath.Join(b.ws, project, "made.txt")
	if owner, want := ownerOf(t, made), ownerOf(t, b.ws); owner != want {
		t.Errorf("what the session made is %s's, not %s's", owner, want)
	}
	uid, _, _ := strings.Cut(ownerOf(t, b.ws), ":")
	if text, err := os.ReadFile(made); err != nil || string(text) != uid+"\nseen\n" {
		t.Errorf("made %q, %v", text, err)
	}
	code, _, stderr := b.try(b.inside("run", "--cwd", "/tmp", "--user", "1000:1000", "--credentials", "env", "--prompt", "x")...)
	if code != 3 || !strings.Contains(stderr, "mount the directory into this container") {
		t.Errorf("a directory of the container's own: exit code %d: %s", code, stderr)
	}
	b.asksForLogin()
	b.survives()
	if log := b.do(append(b.compose, "logs", "engine-proxy")...); strings.Contains(log, "refused") {
		t.Errorf("the proxy refused: %s", log)
	}
}

// asksForLogin begins a login at a terminal, as `docker compose exec` gives one, and
// gives up.
func (b *box) asksForLogin() {
	b.t.Helper()
	cmd := exec.Command("docker", "exec", "-it", b.runner, "ratchetai-runner", "login", "claude", "--account", "mine")
	screen := startAtTerminal(b.t, cmd)
	for end := time.Now().Add(30 * time.Second); !strings.Contains(screen.shown(), "Paste code"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Errorf("login shows: %s", screen.shown())
			break
		}
	}
	screen.press(b.t, "\x03")
	<-screen.done
	if err := cmd.Wait(); err == nil || !strings.Contains(screen.shown(), "nobody was logged in") {
		b.t.Errorf("login given up: %v: %s", err, screen.shown())
	}
}

// survives kills the runner's container in a session and starts it again.
func (b *box) survives() {
	b.t.Helper()
	id := strings.TrimSpace(b.do(b.inside("task", "add", "--prompt", "Do what the script says.")...))
	for end := time.Now().Add(30 * time.Second); !exists(filepath.Join(b.ws, project, "going.txt")); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("the second session did not begin: %s", b.do(b.inside("task", "show", id)...))
		}
	}
	b.do("docker", "kill", b.runner)
	b.do("docker", "start", b.runner)
	b.healthy()
	out := b.do(b.inside("logs", "--follow", id)...)
	show := b.do(b.inside("task", "show", "--json", id)...)
	if !strings.Contains(out, "second") || !strings.Contains(show, `"outcome":"succeeded"`) || strings.Count(out, "echo going") != 1 {
		b.t.Errorf("after the restart: %s\n%s", out, show)
	}
}

func ownerOf(t *testing.T, path string) string {
	t.Helper()
	user, err := runner.WorkspaceUser(path)
	if err != nil {
		t.Fatal(err)
	}
	return user
}

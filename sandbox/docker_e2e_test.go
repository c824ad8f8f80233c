//go:build e2e

package sandbox_test

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/sprawlto/ratchetai-runner/sandbox"
	"github.com/sprawlto/ratchetai-runner/sandbox/pid1"
	"github.com/sprawlto/ratchetai-runner/sandbox/sandboxtest"
)

// testImage is the image of all tests here; TestMain makes and removes it.
var testImage = fmt.Sprintf("ratchetai-sandboxtest:%d", os.Getpid())

func TestMain(m *testing.M) {
	if file := os.Getenv(holderEnv); file != "" { // this is a program that the crash test kills
		os.Exit(hold(file))
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	ctx := context.Background()
	api, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer api.Close()
	if err := buildImage(ctx, api); err != nil {
		fmt.Fprintln(os.Stderr, "build the test image:", err)
		return 1
	}
	os.Setenv("SANDBOXTEST_IMAGE", testImage) // for the tests inside package sandbox
	defer api.ImageRemove(ctx, testImage, image.RemoveOptions{Force: true})
	api.Close() // its connections' goroutines
	before := goleak.IgnoreCurrent()
	code := m.Run()
	if err := goleak.Find(before); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// buildImage makes an image of the probe, which is PID 1 too, and nothing else.
// SANDBOXTEST_INIT names another program for PID 1, such as a release.
func buildImage(ctx context.Context, api *client.Client) error {
	dir, err := os.MkdirTemp("", "sandboxtest")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	probe := filepath.Join(dir, "probe")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", probe, "./sandboxtest/probe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	init := cmp.Or(os.Getenv("SANDBOXTEST_INIT"), probe)
	var context bytes.Buffer
	w := tar.NewWriter(&context)
	for path, file := range map[string]string{"probe": probe, sandbox.InitPath[1:]: init} {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Name: path, Mode: 0o755, Size: int64(len(data))}); err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	answer, err := api.ImageImport(ctx, image.ImportSource{Source: &context, SourceName: "-"}, testImage, image.ImportOptions{})
	if err != nil {
		return err
	}
	defer answer.Close()
	_, err = io.Copy(io.Discard, answer)
	return err
}

func dockerHarness(t *testing.T) sandboxtest.Harness {
	t.Helper()
	d, err := sandbox.NewDocker("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return sandboxtest.Harness{Engine: d, Image: testImage, Probe: "/probe", User: testUser()}
}

// testUser is who tests are, or an ordinary user if they are root.
func testUser() string {
	if os.Getuid() == 0 {
		return "1234:2345"
	}
	return fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid())
}

func TestDockerConformance(t *testing.T) {
	sandboxtest.Conformance(t, dockerHarness)
}

// TestExecTunnelConformance is the same where PID 1 can make no socket, as on a
// desktop whose engine runs in a virtual machine.
func TestExecTunnelConformance(t *testing.T) {
	sandboxtest.Conformance(t, func(t *testing.T) sandboxtest.Harness {
		h := dockerHarness(t)
		h.Engine = socketless{h.Engine}
		return h
	})
}

// socketless takes the socket's place in the state directory.
type socketless struct{ sandbox.Engine }

func (e socketless) Start(ctx context.Context, spec sandbox.Spec) (sandbox.Process, error) {
	if filepath.IsAbs(spec.State) {
		if err := blockSocket(spec.State); err != nil {
			return nil, err
		}
	}
	return e.Engine.Start(ctx, spec)
}

func blockSocket(state string) error {
	dir := filepath.Join(state, "io")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, pid1.SocketFile), nil, 0o600)
}

// newSpec is a sandbox of the probe.
func newSpec(t testing.TB, args ...string) sandbox.Spec {
	t.Helper()
	return sandbox.Spec{
		ID: uuid.NewString(), Runner: "sandboxtest", Image: testImage, Command: append([]string{"/probe"}, args...),
		Dir: "/", User: testUser(), State: t.TempDir(), Env: []string{"PATH=/"},
		Limits: sandbox.Limits{MemoryBytes: 256 << 20, Processes: 128},
	}
}

func newDocker(t testing.TB) *sandbox.Docker {
	t.Helper()
	d, err := sandbox.NewDocker("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// testContext ends well before the test binary is ended.
func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func start(t testing.TB, d *sandbox.Docker, spec sandbox.Spec) sandbox.Process {
	t.Helper()
	p, err := d.Start(testContext(t), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Remove(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

// finish reads p to its end.
func finish(t testing.TB, p sandbox.Process) (stdout []byte, stderr string, r sandbox.Result) {
	t.Helper()
	errs := make(chan string)
	go func() {
		all, _ := io.ReadAll(p.Stderr())
		errs <- string(all)
	}()
	stdout, err := io.ReadAll(p.Stdout())
	if err != nil {
		t.Errorf("stdout: %v", err)
	}
	r, err = p.Wait(testContext(t))
	if err != nil {
		t.Errorf("wait: %v", err)
	}
	return stdout, <-errs, r
}

// TestAdoptNeverStarted: a runner that was killed between a container's creation and its start
// leaves nothing that can be taken over.
func TestAdoptNeverStarted(t *testing.T) {
	ctx := context.Background()
	api, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	d, spec := newDocker(t), newSpec(t, "cat")
	if _, err := api.ContainerCreate(ctx, &container.Config{Image: testImage, Cmd: []string{"cat"}}, nil, nil, nil, "ratchetai-"+spec.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Adopt(ctx, spec, 0); !errors.Is(err, sandbox.ErrNotFound) {
		t.Errorf("adopted: %v", err)
	}
	p, err := d.Start(ctx, spec)
	if err != nil {
		t.Fatal("it is in the way:", err)
	}
	if err := p.Remove(ctx); err != nil {
		t.Error(err)
	}
}

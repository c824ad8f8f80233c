//go:build e2e

package e2e

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
	"github.com/sirupsen/logrus"

	"github.com/sprawlto/ratchetai-runner/internal/engineproxy"
	"github.com/sprawlto/ratchetai-runner/sandbox"
	"github.com/sprawlto/ratchetai-runner/sandbox/sandboxtest"
)

// TestEngineProxyConformance runs the sandboxes' conformance suite through the filter:
// whatever a sandbox needs of the engine passes it.
func TestEngineProxyConformance(t *testing.T) {
	tag := probeImage(t)
	dir, err := os.MkdirTemp("", "proxy") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	var log bytes.Buffer
	logger := logrus.New()
	logger.SetOutput(&log)
	p, err := engineproxy.New(engineproxy.Options{Socket: "/var/run/docker.sock", Dirs: []string{os.TempDir()}, Log: logger})
	if err != nil {
		t.Fatal(err)
	}
	l, err := engineproxy.Listen(filepath.Join(dir, "engine.sock"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		p.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if log.Len() > 0 {
			t.Errorf("refused: %s", log.String())
		}
	})
	sandboxtest.Conformance(t, func(t *testing.T) sandboxtest.Harness {
		t.Helper()
		d, err := sandbox.NewDocker("unix://" + l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		user := fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid())
		if os.Getuid() == 0 {
			user = "1234:2345"
		}
		return sandboxtest.Harness{Engine: d, Image: tag, Probe: "/probe", User: user}
	})
}

// probeImage makes an image of the suite's probe, which is PID 1 too, until the test ends.
func probeImage(t *testing.T) (tag string) {
	t.Helper()
	api, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	probe := filepath.Join(t.TempDir(), "probe")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", probe, "github.com/sprawlto/ratchetai-runner/sandbox/sandboxtest/probe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data, err := os.ReadFile(probe)
	if err != nil {
		t.Fatal(err)
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	for _, path := range []string{"probe", sandbox.InitPath[1:]} {
		if err := w.WriteHeader(&tar.Header{Name: path, Mode: 0o755, Size: int64(len(data))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	tag = fmt.Sprintf("ratchetai-proxytest:%d", os.Getpid())
	answer, err := api.ImageImport(t.Context(), image.ImportSource{Source: &layer, SourceName: "-"}, tag, image.ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Close()
	if _, err := io.Copy(io.Discard, answer); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = api.ImageRemove(context.Background(), tag, image.RemoveOptions{Force: true})
		api.Close()
	})
	return tag
}

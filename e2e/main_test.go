//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// built is what all tests share; TestMain sets it once.
var built struct {
	binary string // ratchetai-runner
	image  string // with both agents, and PID 1
}

func TestMain(m *testing.M) {
	if task := os.Getenv(handEnv); task != "" { // this is a runner that the kill loop kills
		os.Exit(hand(task))
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "ratchetai-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := prepare(dir); err != nil {
		fmt.Fprintln(os.Stderr, "prepare:", err)
		return 1
	}
	return m.Run()
}

// prepare builds the binary if none is named, and the image, so that no test
// has to wait for it.
func prepare(dir string) error {
	built.binary = os.Getenv("RATCHETAI_RUNNER")
	if built.binary == "" {
		built.binary = filepath.Join(dir, "ratchetai-runner")
		build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w",
			"-o", built.binary, "github.com/sprawlto/ratchetai-runner/cmd/ratchetai-runner")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	engine, err := sandbox.NewDocker("")
	if err != nil {
		return err
	}
	defer engine.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	built.image, err = runner.Builder{
		Engine: engine, Program: built.binary, CA: runner.SystemCA(os.Getenv),
		Progress: func(string) {},
	}.Ensure(ctx)
	return err
}

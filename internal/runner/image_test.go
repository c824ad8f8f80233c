package runner

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/sprawlto/ratchetai-runner/images"
)

// PID 1 is what make build has embedded; without that this program, or for an engine of
// another platform a file beside it.
func TestInitFor(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "ratchetai-runner")
	init, err := initFor(program, runtime.GOARCH)
	switch embedded := images.Init(); {
	case len(embedded) > 0:
		if err != nil || init.Path != "" || init.Load == nil || !bytes.Equal(init.Load(), embedded) {
			t.Errorf("with one embedded: %q, %v", init.Path, err)
		}
		wantStatic(t, embedded)
		wantBuildID(t, embedded)
	case runtime.GOOS == "linux":
		if err != nil || init.Path != program || init.Load != nil {
			t.Errorf("without one: %q, %v", init.Path, err)
		}
	}
	if init.Name != "sandbox-init" || init.Mode != 0o755 {
		t.Errorf("it becomes %s, mode %o", init.Name, init.Mode)
	}

	_, err = initFor(program, "riscv64")
	beside := filepath.Join(filepath.Dir(program), "sandbox-init-linux-riscv64")
	if err == nil || !strings.Contains(err.Error(), beside) || !strings.Contains(err.Error(), "GOARCH=riscv64") {
		t.Errorf("for another platform: %v", err)
	}
	if err := os.WriteFile(beside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if init, err = initFor(program, "riscv64"); err != nil || init.Path != beside || init.Mode != 0o755 || init.Load != nil {
		t.Errorf("with the file: %q, %o, %v", init.Path, init.Mode, err)
	}
}

// wantStatic checks that program runs in every image, whatever its C library.
func wantStatic(t *testing.T, program []byte) {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("what is embedded is linked with a C library")
		}
	}
}

// wantBuildID checks that all of the program's build ID is in what tells it from others.
func wantBuildID(t *testing.T, program []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(file, program, 0o600); err != nil {
		t.Fatal(err)
	}
	id, err := exec.Command("go", "tool", "buildid", file).Output()
	if id = bytes.TrimSpace(id); err != nil || len(id) < 40 || !bytes.Contains(images.InitID(), id) {
		t.Errorf("the build ID %q, %v, is not in the first %d bytes", id, err, len(images.InitID()))
	}
}

//go:build unix

package sandbox

import (
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// stateWith returns a state directory whose stdout file holds text.
func stateWith(t *testing.T, text string) (state, file string) {
	t.Helper()
	state = t.TempDir()
	file = filepath.Join(state, "io", "stdout")
	if err := os.Mkdir(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return state, file
}

func ended() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// However the reader learns that there is more, by being told or by looking, it
// gets every byte once.
func TestStdoutGrows(t *testing.T) {
	t.Parallel()
	told, silent := make(chan struct{}, 1), make(chan struct{})
	close(silent)
	for name, grown := range map[string]chan struct{}{"told": told, "live stream lost": silent, "adopted": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state, file := stateWith(t, "one ")
			end := make(chan struct{})
			s := &stdout{state: state, offset: 2, grown: grown, ended: end, closed: make(chan struct{})}
			f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			buf := make([]byte, 100)
			for i, want := range []string{"e ", "two ", "three "} {
				if i > 0 {
					time.AfterFunc(50*time.Millisecond, func() {
						_, _ = f.WriteString(want)
						if name == "told" {
							grown <- struct{}{}
						}
					})
				}
				if n, err := s.Read(buf); string(buf[:n]) != want || err != nil {
					t.Fatalf("read %q, %v; want %q", buf[:n], err, want)
				}
			}
			_, _ = f.WriteString("four") // the end tells as well
			close(end)
			if got, err := io.ReadAll(s); err != nil || string(got) != "four" {
				t.Errorf("read %q, %v", got, err)
			}
		})
	}
}

// A process that replaces its file hides nothing from a reader that has it open.
func TestStdoutIsOpenBefore(t *testing.T) {
	t.Parallel()
	state, file := stateWith(t, "text")
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &stdout{state: state, file: f, ended: ended(), closed: make(chan struct{})}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(s); err != nil || string(got) != "text" {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestStdoutCloseWakesReader(t *testing.T) {
	t.Parallel()
	state, _ := stateWith(t, "")
	closed := make(chan struct{})
	time.AfterFunc(50*time.Millisecond, func() { close(closed) })
	s := &stdout{state: state, ended: make(chan struct{}), closed: closed}
	if got, err := io.ReadAll(s); err != nil || len(got) > 0 {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestStdoutNeverMade(t *testing.T) {
	t.Parallel()
	s := &stdout{state: t.TempDir(), ended: ended(), closed: make(chan struct{})}
	if got, err := io.ReadAll(s); err != nil || len(got) > 0 {
		t.Errorf("read %q, %v", got, err)
	}
}

// A reader that is past the end of the file cannot know what it missed.
func TestStdoutShortened(t *testing.T) {
	t.Parallel()
	state, file := stateWith(t, "text")
	for _, change := range []func() error{
		func() error { return nil },
		func() error { return os.Remove(file) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		s := &stdout{state: state, offset: 5, ended: ended(), closed: make(chan struct{})}
		if got, err := io.ReadAll(s); !errors.Is(err, ErrStdoutChanged) {
			t.Errorf("read %q, %v", got, err)
		}
	}
}

// The process inside owns the file and may replace it by anything.
func TestStdoutHostile(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string]func(file string) error{
		"symlink":         func(f string) error { return os.Symlink("/etc/hostname", f) },
		"symlink inside":  func(f string) error { return os.Symlink("other", f) },
		"dangling":        func(f string) error { return os.Symlink("missing", f) },
		"FIFO":            func(f string) error { return syscall.Mkfifo(f, 0o666) },
		"directory":       func(f string) error { return os.Mkdir(f, 0o777) },
		"socket":          func(f string) error { return syscall.Mknod(f, syscall.S_IFSOCK|0o666, 0) },
		"link to /dev":    func(f string) error { return os.Symlink("/dev/zero", f) },
		"link to its dir": func(f string) error { return os.Symlink(".", f) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state, file := stateWith(t, "text")
			if err := os.Rename(file, file+"x"); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(filepath.Dir(file), "other"), []byte("secret"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := replace(file); err != nil {
				t.Fatal(err)
			}
			s := &stdout{state: state, ended: ended(), closed: make(chan struct{})}
			if got, err := io.ReadAll(s); !errors.Is(err, ErrStdoutChanged) || len(got) > 0 {
				t.Errorf("read %q, %v", got, err)
			}
			if err := VerifyStdout(state, 4, 0); !errors.Is(err, ErrStdoutChanged) {
				t.Errorf("verify: %v", err)
			}
		})
	}
}

func TestVerifyStdout(t *testing.T) {
	t.Parallel()
	text := bytes.Repeat([]byte("text"), 1000)
	state, file := stateWith(t, string(text))
	sum := func(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
	for _, n := range []int{0, 1, 3999, 4000} {
		if err := VerifyStdout(state, int64(n), sum(text[:n])); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if err := VerifyStdout(state, 10, 1); !errors.Is(err, ErrStdoutChanged) {
		t.Errorf("a wrong sum: %v", err)
	}
	if err := os.Truncate(file, 100); err != nil {
		t.Fatal(err)
	}
	if err := VerifyStdout(state, 4000, sum(text)); !errors.Is(err, ErrStdoutChanged) {
		t.Errorf("a cut file: %v", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := VerifyStdout(state, 100, sum(text[:100])); !errors.Is(err, ErrStdoutChanged) {
		t.Errorf("a missing file: %v", err)
	}
}

package credential

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// maxFileBytes bounds a login file; real ones have a few kilobytes.
const maxFileBytes = 1 << 20

// FindMount returns the host's login file of an agent.
//
// The error wraps ErrNoLogin, ErrExpired (the Source is valid then, for whoever
// can renew it) or ErrMalformed, or is that of opening the file. It only reads.
func FindMount(kind string, getenv func(string) string, home string) (Source, error) {
	return findMount(kind, getenv, home, time.Now())
}

func findMount(kind string, getenv func(string) string, home string, now time.Time) (Source, error) {
	a, ok := lookup(kind)
	if !ok {
		return Source{}, fmt.Errorf("unknown agent %q", kind)
	}
	dir := getenv(a.dirVar)
	if dir == "" {
		if home == "" {
			return Source{}, fmt.Errorf("%w for %s: no home directory; %s", ErrNoLogin, kind, a.hint)
		}
		dir = filepath.Join(home, a.dir)
	}
	return find(Source{Agent: kind, Mode: ModeMount, Path: filepath.Join(dir, a.file)}, now)
}

// find checks the login file of src.
func find(src Source, now time.Time) (Source, error) {
	kind := src.Agent
	a, _ := lookup(kind)
	data, err := readFile(src.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return Source{}, fmt.Errorf("%w for %s: no file %s; %s", ErrNoLogin, kind, src.Path, a.hint)
	case err != nil:
		return Source{}, fmt.Errorf("%s login: %w", kind, err)
	}
	l, err := parse(kind, data)
	switch {
	case errors.Is(err, ErrNoLogin):
		return Source{}, fmt.Errorf("%w for %s in %s: it was logged out; %s", ErrNoLogin, kind, src.Path, a.hint)
	case err != nil:
		return Source{}, fmt.Errorf("%s login %s: %w; %s", kind, src.Path, err, a.hint)
	}
	return src, l.check(src, now)
}

// FindEnv is Find for mode env only: the first variable that is set.
func FindEnv(kind string, getenv func(string) string) (Source, error) {
	a, ok := lookup(kind)
	if !ok {
		return Source{}, fmt.Errorf("unknown agent %q", kind)
	}
	for _, name := range a.vars {
		// A trailing newline comes from a file that was read into the variable.
		if value := strings.TrimSpace(getenv(name)); value != "" {
			if strings.ContainsAny(value, "\x00\r\n") {
				return Source{}, fmt.Errorf("%w for %s: %s holds several lines", ErrMalformed, kind, name)
			}
			return Source{Agent: kind, Mode: ModeEnv, Var: name, value: value}, nil
		}
	}
	return Source{}, fmt.Errorf("%w for %s: none of %s is set", ErrNoLogin, kind, strings.Join(a.vars, ", "))
}

// File is the name of kind's login file.
func File(kind string) string {
	a, _ := lookup(kind)
	return a.file
}

// check returns ErrExpired when l is of no use any more.
func (l login) check(src Source, now time.Time) error {
	if l.expires.IsZero() || now.Before(l.expires) {
		return nil
	}
	a, _ := lookup(src.Agent)
	todo := a.renew
	if src.Account != "" {
		todo = src.again()
	}
	return fmt.Errorf("%w: %s ended at %s; %s", ErrExpired, src.Path, l.expires.UTC().Format(time.RFC3339), todo)
}

// readFile reads a login file. It follows links, which people have there, and
// refuses what would block or fill the memory.
func readFile(path string) ([]byte, error) {
	// O_NONBLOCK: opening a named pipe would wait for its writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if n > maxFileBytes {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxFileBytes)
	}
	return b.Bytes(), nil
}

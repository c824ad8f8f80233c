package workspace

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
)

// ErrNotRegular says that a path of the workspace is a directory, a FIFO, a
// device or a socket where a file is expected.
var ErrNotRegular = errors.New("not a regular file")

// ReadFile returns the first limit bytes of a regular file below root. Links are
// followed as far as they stay below root. It does not block on a FIFO.
func ReadFile(root *os.Root, name string, limit int64) ([]byte, error) {
	f, err := openRegular(root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// openRegular looks twice: opening some devices has effects, and what was a file
// may be something else by the time it is open.
func openRegular(root *os.Root, name string) (*os.File, error) {
	info, err := root.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w", name, ErrNotRegular)
	}
	if err != nil {
		return nil, err
	}
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w", name, ErrNotRegular)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// openDir opens a directory below root. Anything else is refused before it is
// opened, so that it does not block on a FIFO.
func openDir(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// A file that os.Root opened asks for the status of every entry that it reads
	// (Go 1.26), which takes longer than everything else together. One of the same
	// descriptor does not; its entries' Info must not be used.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), name), nil
}

// emptyDir reports that name is a directory, not a link to one, with nothing in it.
func emptyDir(root *os.Root, name string) bool {
	if info, err := root.Lstat(name); err != nil || !info.IsDir() {
		return false
	}
	f, err := openDir(root, name)
	if err != nil {
		return false
	}
	defer f.Close()
	_, err = f.Readdirnames(1)
	return errors.Is(err, io.EOF)
}

// below reports whether name is dir or in it.
func below(name, dir string) bool {
	return dir == "." || name == dir || strings.HasPrefix(name, dir+"/")
}

// within reports whether name is one of dirs or in one.
func within(name string, dirs []string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool { return below(name, dir) })
}

// touches reports whether name is, holds or is below one of names.
func touches(name string, names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return below(name, n) || below(n, name) })
}

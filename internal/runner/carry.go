package runner

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"

	"github.com/sprawlto/ratchetai-runner/internal/credential"
)

// Bounds of the transcripts that a conversation is continued from. An agent wrote
// them and could have written anything.
const (
	carryBytesMax = 1 << 30
	carryFilesMax = 20_000
)

// carry copies the transcripts of o into the home of s, which shares nothing with
// the earlier one: both may go on.
func (r *Runner) carry(s *Session, o *Origin) error {
	if o == nil {
		return nil
	}
	if !o.Copied {
		held, err := r.Store.lock(o.ID)
		if err != nil {
			return err
		}
		defer held.release()
	}
	owner, err := ownerFor(s.User)
	if err != nil {
		return err
	}
	from, err := os.OpenRoot(filepath.Join(o.dir, "home"))
	if err != nil {
		return fmt.Errorf("continue session %s: %w", o.ID, err)
	}
	defer from.Close()
	to, err := os.OpenRoot(filepath.Join(r.Store.dir(s.ID), "home"))
	if err != nil {
		return fmt.Errorf("continue session %s: %w", o.ID, err)
	}
	defer to.Close()
	c := carrier{from: from, to: to, owner: owner, files: carryFilesMax, bytes: carryBytesMax}
	if err := c.tree(s.Agent.Kind.Transcripts()); err != nil {
		return fmt.Errorf("continue session %s: copy its transcripts: %w", o.ID, err)
	}
	return nil
}

// carrier copies directories and regular files from one home to another, and
// nothing else: the source is hostile.
type carrier struct {
	from, to *os.Root
	owner    *credential.Owner // nil: this process
	files    int               // that may still be copied
	bytes    int64             // likewise
}

func (c *carrier) tree(top string) error {
	for dir := path.Dir(top); dir != "."; dir = path.Dir(dir) { // one level, as both agents have it
		if err := c.mkdir(dir); err != nil {
			return err
		}
	}
	return fs.WalkDir(c.from.FS(), top, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if c.files--; c.files < 0 {
			return fmt.Errorf("they are more than %d files", carryFilesMax)
		}
		switch {
		case d.IsDir():
			return c.mkdir(name)
		case d.Type().IsRegular():
			return c.file(name)
		}
		return nil
	})
}

func (c *carrier) mkdir(name string) error {
	if err := c.to.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return c.chown(name)
}

func (c *carrier) file(name string) error {
	in, err := c.from.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	if info, err := in.Stat(); err != nil || !info.Mode().IsRegular() {
		return errors.Join(err, fmt.Errorf("%s is no file any more", name))
	}
	out, err := c.to.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, io.LimitReader(in, c.bytes+1))
	if c.bytes -= n; c.bytes < 0 {
		err = fmt.Errorf("they are more than %d MiB", carryBytesMax>>20)
	}
	return errors.Join(err, out.Close(), c.chown(name))
}

func (c *carrier) chown(name string) error {
	if c.owner == nil {
		return nil
	}
	return c.to.Lchown(name, c.owner.UID, c.owner.GID)
}

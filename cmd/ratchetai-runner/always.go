package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/permission"
)

const (
	// rulesFileMax is more than a rules file may have, in bytes.
	rulesFileMax = 2 << 20
	// rulesWait is how long another runner that adds a rule is waited for.
	rulesWait = 5 * time.Second
)

// rulesFile takes what is allowed always, on behalf of a session in workspace. An empty
// path is that of a session without one.
type rulesFile struct{ path, workspace string }

// answering passes answers on to s. To allow always is to write a rule, and then to
// allow for the session. If the rule cannot be written, the ask stays open.
func (w *watch) answering(s session) func(event.Answer, bool) error {
	return func(a event.Answer, stay bool) error {
		if a.Decision != event.DecideAlways {
			return s.Answer(a, stay)
		}
		o, err := s.Asked(a.Ask)
		if err != nil {
			return err
		}
		a.Decision = event.DecideSession
		if err := a.Check(o); err != nil {
			return err
		}
		if len(a.Input) > 0 {
			return errors.New("what is allowed always cannot be edited")
		}
		said, err := w.rules.allow(o)
		if err != nil {
			return fmt.Errorf("%w; it can still be allowed for the session", err)
		}
		w.say(said)
		return s.Answer(a, stay)
	}
}

// allow adds a rule that allows what o asks for, unless the file does already, and
// returns what to tell the person.
func (f rulesFile) allow(o event.AskOpened) (said string, err error) {
	if f.path == "" {
		return "", errors.New("this session has no file for permission rules")
	}
	if o.Cut {
		return "", errors.New("it is too long to be a rule")
	}
	dir := filepath.Dir(f.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("permission rules: %w", err)
	}
	if inside(dir, f.workspace) {
		return "", fmt.Errorf("%s is inside the workspace, where the agent can change it: no rule is added", f.path)
	}
	unlock, err := lockDir(dir)
	if err != nil {
		return "", err
	}
	defer unlock()
	call := permission.Call{Kind: o.ToolKind, Tool: o.Tool, Paths: o.Paths, Host: o.Host}
	if o.ToolKind == event.KindShell {
		call = permission.Call{Kind: o.ToolKind, Tool: o.Tool, Command: o.Command}
	}
	for range 3 { // an editor knows no lock
		old, err := f.read()
		if err != nil {
			return "", err
		}
		data, v, err := permission.Append(old, call)
		switch {
		case errors.Is(err, permission.ErrDecided) && v.Decision == permission.Allow:
			return f.path + " allows this already: sessions that begin from now on do not ask", nil
		case errors.Is(err, permission.ErrDecided):
			return "", fmt.Errorf("rule %d of %s comes first and says %s, so a rule after it would change nothing", v.Rule, f.path, v.Decision)
		case err != nil:
			return "", fmt.Errorf("%s: %w", f.path, err)
		}
		if done, err := f.replace(old, data); err != nil {
			return "", fmt.Errorf("permission rules: %w", err)
		} else if done {
			return fmt.Sprintf("allowed from now on, in every workspace: rule %d of %s", v.Rule, f.path), nil
		}
	}
	return "", fmt.Errorf("%s is being changed by somebody else", f.path)
}

// read returns the file's content, nil if there is none. It refuses what a person
// would not want to be replaced.
func (f rulesFile) read() ([]byte, error) {
	info, err := os.Lstat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("permission rules: %w", err)
	}
	var st unix.Stat_t
	switch err := unix.Lstat(f.path, &st); {
	case err != nil:
		return nil, fmt.Errorf("permission rules: %s: %w", f.path, err)
	case info.Mode()&fs.ModeSymlink != 0:
		return nil, fmt.Errorf("%s is a link: no rule is added; name the file itself with --permission-rules", f.path)
	case !info.Mode().IsRegular() || info.Size() > rulesFileMax:
		return nil, fmt.Errorf("%s is no regular file of at most %d MiB: no rule is added", f.path, rulesFileMax>>20)
	case int(st.Uid) != os.Geteuid() || info.Mode()&0o200 == 0:
		return nil, fmt.Errorf("%s is not yours to write: no rule is added", f.path)
	}
	data, err := os.ReadFile(f.path)
	if err != nil {
		return nil, fmt.Errorf("permission rules: %w", err)
	}
	return slices.Clip(data), nil
}

// replace puts data in the place of old at once; done is false if the file holds
// something else by now.
func (f rulesFile) replace(old, data []byte) (done bool, err error) {
	tmp, err := os.CreateTemp(filepath.Dir(f.path), ".permission-rules-*") // 0600
	if err != nil {
		return false, err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return false, err
	}
	if now, err := f.read(); err != nil || !bytes.Equal(now, old) {
		return false, err
	}
	return true, os.Rename(tmp.Name(), f.path)
}

// lockDir keeps other runners from adding rules in dir meanwhile.
func lockDir(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("permission rules: %w", err)
	}
	for end := time.Now().Add(rulesWait); ; time.Sleep(20 * time.Millisecond) {
		err := unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = d.Close() }, nil // ends the lock
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(end) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), d.Close())
		}
	}
}

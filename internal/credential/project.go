package credential

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Owner is who may read a projection: the uid and gid of the agent.
type Owner struct{ UID, GID int }

// Options of Project. The zero value is usable.
type Options struct {
	Owner *Owner        // nil: files belong to this process
	Poll  time.Duration // how often Watch looks at the host's file; 0 is 2 s
}

// Projection is what a session gets of a login. Its methods are safe for
// concurrent use; its fields are not changed after Project.
type Projection struct {
	// Dir is to be mounted read-only at a fixed path of the sandbox; empty when
	// the login is a variable only. It holds nothing else and stays the same
	// directory when the login is renewed. In mode host-dir it is the host's.
	Dir string
	// Links says which names in the agent's config directory have to be links
	// to which files in the mount.
	Links map[string]string
	// Env is what to add to the agent's environment, KEY=VALUE. It is secret.
	Env []string

	src  Source
	opts Options

	mu      sync.Mutex
	source  []byte // the host's file as it was projected last
	expires time.Time
	secrets [][]byte
}

// Project writes what a session may have of src into dir, which it makes with
// mode 0700. Readers of the files in it see the old content or the new, never
// a part. It fails as FindMount does, and additionally for a login that has expired.
func Project(src Source, dir string, opts Options) (*Projection, error) {
	if opts.Poll <= 0 {
		opts.Poll = 2 * time.Second
	}
	a, ok := lookup(src.Agent)
	if !ok {
		return nil, fmt.Errorf("unknown agent %q", src.Agent)
	}
	p := &Projection{src: src, opts: opts}
	p.remember([]string{src.value}) // empty in mode mount
	if src.Mode == ModeEnv && src.Agent == Claude {
		p.Env = []string{src.Var + "=" + src.value}
		return p, nil
	}
	p.Dir, p.Links = dir, map[string]string{a.file: a.file}
	if err := p.prepare(); err != nil {
		return nil, fmt.Errorf("project the %s login: %w", src.Agent, err)
	}
	data, err := p.load()
	if err != nil {
		return nil, fmt.Errorf("project the %s login: %w", src.Agent, err)
	}
	l, err := parse(src.Agent, data)
	if err == nil {
		err = l.check(src, time.Now())
	}
	if err == nil {
		p.remember(l.secrets)
		err = p.write(data, l)
	}
	if err != nil {
		return nil, fmt.Errorf("project %s: %w", src.Describe(), err)
	}
	return p, nil
}

// Secrets returns every token and key that the login has or had: what the agent
// could print, and what only the host knows. The caller must not change it.
func (p *Projection) Secrets() [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.secrets)
}

// Expires returns when the projected login ends; zero means never or unknown.
func (p *Projection) Expires() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.expires
}

// load returns the login file: the host's, or one made of a variable, because
// the app-server of Codex ignores OPENAI_API_KEY and CODEX_API_KEY.
func (p *Projection) load() ([]byte, error) {
	if p.src.Mode == ModeEnv {
		return encode(map[string]string{"OPENAI_API_KEY": p.src.value})
	}
	return readFile(p.src.Path)
}

// prepare makes p.Dir, or sets it to the host's.
func (p *Projection) prepare() error {
	if p.src.Mode != ModeHostDir {
		return p.makeDir()
	}
	// The link in the sandbox leads into the mount and no further.
	path, err := filepath.EvalSymlinks(p.src.Path)
	if err != nil {
		return err
	}
	a, _ := lookup(p.src.Agent)
	p.Dir, p.Links = filepath.Dir(path), map[string]string{a.file: filepath.Base(path)}
	return nil
}

func (p *Projection) makeDir() error {
	if err := os.MkdirAll(p.Dir, 0o700); err != nil {
		return err
	}
	// MkdirAll leaves the mode of a directory that is there.
	if err := os.Chmod(p.Dir, 0o700); err != nil {
		return err
	}
	// What a process left that was killed between its two steps.
	stale, err := filepath.Glob(filepath.Join(p.Dir, tempPattern))
	for _, name := range stale {
		err = errors.Join(err, os.Remove(name))
	}
	return errors.Join(err, p.chown(p.Dir))
}

const tempPattern = ".new-*"

func (p *Projection) chown(path string) error {
	if p.opts.Owner == nil {
		return nil
	}
	return os.Chown(path, p.opts.Owner.UID, p.opts.Owner.GID)
}

// remember adds secrets that are new. Old ones stay: a token may be valid for
// some time after it was replaced.
func (p *Projection) remember(secrets []string) (added bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range secrets {
		known := func(b []byte) bool { return string(b) == s }
		if s != "" && !slices.ContainsFunc(p.secrets, known) {
			p.secrets = append(p.secrets, []byte(s))
			added = true
		}
	}
	return added
}

// write replaces the projected file by l, the login in data.
func (p *Projection) write(data []byte, l login) error {
	a, _ := lookup(p.src.Agent)
	if p.src.Mode != ModeHostDir {
		if err := p.replace(filepath.Join(p.Dir, a.file), l.projected); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.source, p.expires = bytes.Clone(data), l.expires
	return nil
}

// replace gives the file at path a new content by renaming another over it.
func (p *Projection) replace(path string, content []byte) error {
	return replace(path, content, p.chown)
}

// replace is also for other files of this package; chown gets the new file's
// name while nobody else knows it.
func replace(path string, content []byte, chown func(string) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), tempPattern) // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = chown(f.Name()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

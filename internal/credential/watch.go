package credential

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// Callbacks of Watch. It calls them from its own goroutine, one at a time; nil
// ones are left out.
type Callbacks struct {
	// Secrets gets all secrets of the login whenever there are new ones, before
	// the session can read them.
	Secrets func([][]byte)
	// Problem gets what keeps the session from a valid login, once for each
	// change and when two looks have found it: it wraps ErrNoLogin (the host was logged out), ErrExpired,
	// ErrMalformed or is that of reading or writing a file.
	Problem func(error)
}

// Watch projects the host's file again whenever it changes, until ctx is done.
// A file that is missing, broken or without a token leaves the last projection
// as it is, and Watch looks again: the vendors' CLIs do not always replace it
// atomically. A login of a variable never changes; Watch then only waits.
func (p *Projection) Watch(ctx context.Context, on Callbacks) {
	w := watcher{p: p, on: on}
	tick := time.NewTicker(p.opts.Poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if p.src.Mode != ModeEnv {
				w.look()
			}
		}
	}
}

type watcher struct {
	p       *Projection
	on      Callbacks
	problem string // what was reported last
	seen    string // what the last look found: a file that is being written is no problem
}

// look compares contents and not times: Codex writes its file in place, and two
// writes within a clock tick look the same otherwise.
func (w *watcher) look() {
	data, err := w.p.load()
	if err == nil {
		err = w.update(data)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("%w: %s is gone; the session keeps the last login", ErrNoLogin, w.p.src.Path)
	case errors.Is(err, ErrNoLogin):
		err = fmt.Errorf("%w: %s was logged out; the session keeps the last login", ErrNoLogin, w.p.src.Path)
	case errors.Is(err, ErrExpired):
	case err != nil:
		err = fmt.Errorf("renew the login from %s: %w", w.p.src.Path, err)
	}
	w.report(err)
}

// update projects data if it is new, and says whether the session's login is
// still valid.
func (w *watcher) update(data []byte) error {
	w.p.mu.Lock()
	current, expires := bytes.Equal(data, w.p.source), w.p.expires
	w.p.mu.Unlock()
	if current {
		return login{expires: expires}.check(w.p.src, time.Now())
	}
	l, err := parse(w.p.src.Agent, data)
	if err != nil {
		return err
	}
	if w.p.remember(l.secrets) && w.on.Secrets != nil {
		w.on.Secrets(w.p.Secrets())
	}
	if err := w.p.write(data, l); err != nil {
		return err
	}
	return l.check(w.p.src, time.Now())
}

func (w *watcher) report(err error) {
	var text string
	if err != nil {
		text = err.Error()
	}
	first := text != w.seen
	w.seen = text
	if text == w.problem || first && err != nil {
		return
	}
	w.problem = text
	if err != nil && w.on.Problem != nil {
		w.on.Problem(err)
	}
}

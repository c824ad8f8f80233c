package credential

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

const (
	keepPoll  = 30 * time.Second // how often a login that is not due is looked at
	keepBusy  = time.Second      // and one that another keeper renews
	keepFirst = 5 * time.Second  // pause after a failure; it doubles
	keepMost  = 5 * time.Minute  // up to this
)

// Keeper renews one login file before its login ends. Any number of keepers, of
// this process and of others, may have the same file: a lock file beside it lets
// one of them work at a time, and what that one could not do is known to all.
//
// A refresh token is good for one renewal. So the vendor's own CLI does it, on
// the directory itself, and replaces the file: no copy of a refresh token is ever
// spent. Before that, a copy of the file is put beside it, and stays there if the
// file is lost.
type Keeper struct {
	Source Source // of a login file
	// Renew runs the vendor's CLI on the file at path, which is no link, until the
	// file has changed and the CLI has ended. Its context is not cancelled with
	// Run's: a CLI that is stopped in the middle of a renewal may lose the login.
	Renew func(ctx context.Context, path string) error
	// Report gets what keeps the login from being renewed, once for each failure,
	// whichever keeper it happened to, and nil when that is over.
	Report func(error)

	reported string // what was reported last
	failures int    // renewals that this keeper tried in vain
}

// ErrNotRenewed is wrapped by what Keeper reports.
var ErrNotRenewed = errors.New("the login could not be renewed")

// Run keeps the login until ctx ends and a renewal that is under way is done.
func (k *Keeper) Run(ctx context.Context) {
	for {
		wait := k.look(ctx, false)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// Now renews a login that has ended, and waits for a keeper that is at it. It
// returns nil if the login is valid then, and gives up when ctx ends.
func (k *Keeper) Now(ctx context.Context) error {
	for {
		l, _, err := k.load()
		if err != nil {
			return err
		}
		if err = l.check(k.Source, time.Now()); err == nil || !l.renewable {
			return err
		}
		failures := k.failures
		wait := k.look(ctx, true)
		if l, _, lerr := k.load(); lerr == nil && l.check(k.Source, time.Now()) == nil {
			return nil
		}
		if k.failures > failures {
			return fmt.Errorf("%w; %s", err, k.reported)
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}

// look renews the login if it is due, and returns when to look again. With now,
// an earlier failure is no reason to wait.
func (k *Keeper) look(ctx context.Context, now bool) (next time.Duration) {
	path, err := filepath.EvalSymlinks(k.Source.Path)
	if err != nil {
		return keepPoll // Watch reports it
	}
	l, data, err := k.load()
	failed := loadFailure(path, data)
	if failed.Count > 0 || err == nil {
		k.report(failed.err(path))
	}
	if err != nil || !l.renewable || l.expires.IsZero() {
		return keepPoll
	}
	if wait := time.Until(k.due(path, l)); wait > 0 {
		return min(wait, keepPoll)
	}
	if wait := time.Until(failed.Next); wait > 0 && !now {
		return min(wait, keepPoll)
	}
	held, err := lockKeeper(path)
	if errors.Is(err, errKeeperBusy) {
		return keepBusy
	}
	if err != nil { // a directory that cannot be written
		k.report(fmt.Errorf("%w: %w", ErrNotRenewed, err))
		return keepPoll
	}
	defer held.release()
	if _, again, err := k.load(); err != nil || string(again) != string(data) {
		return 0 // another one was faster
	}
	return k.renew(ctx, held, path, l, data)
}

// due is when the login is to be renewed: a lead before its end, but not before
// half of its life is over. The file's age stands for the login's.
func (k *Keeper) due(path string, l login) time.Time {
	a, _ := lookup(k.Source.Agent)
	due := l.expires.Add(-a.lead)
	if info, err := os.Stat(path); err == nil && info.ModTime().Before(l.expires) {
		if half := info.ModTime().Add(l.expires.Sub(info.ModTime()) / 2); half.After(due) {
			return half
		}
	}
	return due
}

func (k *Keeper) load() (login, []byte, error) {
	data, err := readFile(k.Source.Path)
	if err != nil {
		return login{}, nil, err
	}
	l, err := parse(k.Source.Agent, data)
	return l, data, err
}

// renew has the login renewed, under the lock, and records how that went.
func (k *Keeper) renew(ctx context.Context, held *keeperLock, path string, old login, data []byte) (next time.Duration) {
	backup := path + backupSuffix
	err := replace(backup, data, sameOwner(path))
	if err == nil {
		err = k.Renew(context.WithoutCancel(ctx), path)
	}
	l, now, lerr := k.load()
	switch {
	case lerr == nil && l.access != old.access:
		_ = os.Remove(backup) // its refresh token is spent
		held.clear()
		k.report(nil)
		return 0
	case lerr != nil && !errors.Is(lerr, fs.ErrNotExist) && !errors.Is(lerr, ErrNoLogin) && !errors.Is(lerr, ErrMalformed):
		err = errors.Join(err, lerr) // it cannot be read: nothing is known
	case lerr != nil:
		err = fmt.Errorf("the vendor refused it, and its CLI logged this login out: %s; what it was is kept in %s", k.Source.again(), backup)
	default:
		_ = os.Remove(backup) // it is what the file is
		if err == nil {
			err = errors.New("the vendor's CLI did not renew it")
		}
	}
	k.failures++
	f := held.fail(now, err)
	k.report(f.err(path))
	return max(0, min(time.Until(f.Next), keepPoll))
}

func (k *Keeper) report(err error) {
	var text string
	if err != nil {
		text = err.Error()
	}
	if text == k.reported {
		return
	}
	k.reported = text
	if k.Report != nil {
		k.Report(err)
	}
}

package workspace

import (
	"context"
	"fmt"
	"os"
	"path"
	"runtime"
	"sync"
	"sync/atomic"
)

// Bounds of one snapshot. What is beyond them is not compared, which Cut says.
const (
	entriesMax = 5_000_000 // names that are looked at
	deepMax    = 64        // directories below the workspace
	filesMax   = 20_000    // guarded files
	hashedMax  = 256 << 20 // bytes of them that are read
	fileMax    = 8 << 20   // bytes of one
)

// vendored holds packages of others: editors' and agents' settings in it are
// nobody's, and there are thousands. Git directories in it count.
const vendored = "node_modules"

// Take looks at every name in the workspace dir and at the content of guarded
// paths, except those of allow and in them. It returns what it has when ctx
// ends; an error means that there is no such directory.
func Take(ctx context.Context, dir string, allow []string) (Snapshot, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Snapshot{}, fmt.Errorf("look at the workspace: %w", err)
	}
	defer root.Close()
	t := &taker{
		ctx: ctx, root: root, allow: allow, names: newNames(),
		helpers: make(chan struct{}, max(4, runtime.NumCPU())),
		found:   Snapshot{Tops: map[string]*Top{}},
	}
	t.spawn(&branch{root: root, users: 2}, ".", ".", 0, false) // one use is ours: root stays open
	t.running.Wait()
	for _, r := range extras(root, dir, gitName) {
		t.guard(r.Path, r)
	}
	return t.found, nil
}

type taker struct {
	ctx     context.Context
	root    *os.Root
	allow   []string
	names   names
	helpers chan struct{} // holds one value for each goroutine
	running sync.WaitGroup
	entries atomic.Int64
	files   atomic.Int64
	hashed  atomic.Int64

	mu    sync.Mutex
	found Snapshot
}

// branch is a directory whose children are being looked at. To open them from
// there takes half the time of opening each by its whole path.
type branch struct {
	root  *os.Root
	users int32 // atomic: children that are not done
}

func (b *branch) done() {
	if atomic.AddInt32(&b.users, -1) == 0 {
		b.root.Close()
	}
}

// dir looks at the directory base of from and those in it; name is its path, of
// deep parts.
func (t *taker) dir(from *branch, base, name string, deep int, vendor bool) {
	defer from.done()
	if deep > deepMax {
		t.cutShort(fmt.Sprintf("directories more than %d deep", deepMax))
		return
	}
	if t.stopped() {
		return
	}
	var mark gitMark
	var dirs []string
	t.list(from.root, base, func(e os.DirEntry) {
		mark.see(e.Name())
		r, guarded := t.names.find(e.Name())
		switch {
		case guarded && (!vendor || r.Path == gitName):
			t.guard(path.Join(name, e.Name()), r)
		case !guarded && e.IsDir():
			dirs = append(dirs, e.Name())
		}
	})
	if mark.repository() {
		to := &Top{Reason: whyBare, Git: true, Files: map[string]string{}}
		t.gitDir(to, name, 0)
		t.keep(name, to)
	}
	if len(dirs) == 0 {
		return
	}
	root, err := from.root.OpenRoot(base)
	if err != nil {
		return // it is gone, as far as it was there
	}
	here := &branch{root: root, users: int32(len(dirs))}
	for _, d := range dirs {
		t.spawn(here, d, path.Join(name, d), deep+1, vendor || d == vendored)
	}
}

// spawn is dir in another goroutine if one is free.
func (t *taker) spawn(from *branch, base, name string, deep int, vendor bool) {
	select {
	case t.helpers <- struct{}{}:
		t.running.Go(func() {
			defer func() { <-t.helpers }()
			t.dir(from, base, name, deep, vendor)
		})
	default:
		t.dir(from, base, name, deep, vendor)
	}
}

// guard records what is at name, which r guards.
func (t *taker) guard(name string, r Rule) {
	to := &Top{Reason: r.Reason, Files: map[string]string{}}
	if r.Path == gitName {
		to.Git = true
		t.recordGit(to, name)
	} else {
		t.record(to, name, 0)
	}
	t.keep(name, to)
}

func (t *taker) keep(name string, top *Top) {
	if len(top.Files) == 0 || within(name, t.allow) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.found.Tops[printable(name)] = top
}

// cutShort notes that something was left out, and why.
func (t *taker) cutShort(why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.found.Cut == "" {
		t.found.Cut = printable(why)
	}
}

// list calls f for every entry of a directory, as far as it can be read.
func (t *taker) list(root *os.Root, name string, f func(os.DirEntry)) {
	d, err := openDir(root, name)
	if err != nil {
		return
	}
	defer d.Close()
	for {
		entries, err := d.ReadDir(1024)
		for _, e := range entries {
			f(e)
		}
		if err != nil {
			return
		}
		t.entries.Add(int64(len(entries)))
		if t.stopped() {
			return
		}
	}
}

// stopped reports whether it is enough, and notes why.
func (t *taker) stopped() bool {
	switch {
	case t.entries.Load() > entriesMax:
		t.cutShort(fmt.Sprintf("more than %d files", entriesMax))
	case t.ctx.Err() != nil:
		t.cutShort("it took too long")
	default:
		return false
	}
	return true
}

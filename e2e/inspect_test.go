//go:build e2e

package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// inspectAll checks, after a test, what must hold after every session.
func (b *bundle) inspectAll() {
	for _, id := range b.sessions() {
		if !exists(filepath.Join(b.store.Journal(id), "session.json")) {
			continue // its runner was killed before there was a session; swept after a minute
		}
		b.inspectJournal(id)
		b.inspectFiles(id)
	}
	b.inspectEngine()
	b.inspectOwner()
}

// inspectJournal checks that the journal is complete: numbered without a gap,
// every byte of stdout accounted for once, one end, at the end.
func (b *bundle) inspectJournal(id string) {
	var seq uint64
	var out int64
	var ends int
	var last string
	for _, e := range b.entries(id) {
		if e.Seq != seq+1 {
			b.t.Errorf("session %s: entry %d follows %d", id, e.Seq, seq)
		}
		seq, last = e.Seq, e.Type
		if e.Type == string(event.TypeSessionFinished) {
			ends++
		}
		if e.Out == 0 {
			continue
		}
		size := e.Out - out
		if size <= 0 {
			b.t.Errorf("session %s: entry %d: stdout offset %d after %d", id, seq, e.Out, out)
		}
		// A line is kept whole or, if it only held a piece of text, not at all.
		whole := int64(len(e.Raw)) == size-1 || strings.Contains(string(e.Raw), "[redacted]")
		if len(e.Raw) > 0 && !whole {
			b.t.Errorf("session %s: entry %d (%s) has %d of %d bytes", id, seq, e.Type, len(e.Raw), size)
		}
		out = e.Out
	}
	if ends != 1 || last != string(event.TypeSessionFinished) {
		b.t.Errorf("session %s: %d ends, last event %q", id, ends, last)
	}
	for _, n := range all[event.Notice](b, id) {
		if strings.HasPrefix(n.Text, "gap") {
			b.t.Errorf("session %s: %s", id, n.Text)
		}
	}
}

// inspectFiles checks that only the session's record is left.
func (b *bundle) inspectFiles(id string) {
	for _, name := range []string{"sandbox", "login"} {
		if exists(filepath.Join(b.store.Journal(id), name)) {
			b.t.Errorf("session %s: %s is left over", id, name)
		}
	}
	if !exists(filepath.Join(b.store.Journal(id), "result.json")) {
		b.t.Errorf("session %s: no result is recorded", id)
	}
}

// inspectEngine checks that no container of this runner is left. The engine
// lists one for a moment while it removes it.
func (b *bundle) inspectEngine() {
	left := b.containers()
	for wait := 0; len(left) > 0 && wait < 20; wait++ {
		time.Sleep(100 * time.Millisecond)
		left = b.containers()
	}
	for _, c := range left {
		b.t.Errorf("container %s is left over, %s", c.Names, c.Status)
		if out, err := exec.Command("docker", "rm", "-f", c.ID).CombinedOutput(); err != nil {
			b.t.Logf("%v: %s", err, out)
		}
	}
}

// containers are those of this bundle's runner, in any state.
func (b *bundle) containers() []container.Summary {
	api, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		b.t.Fatal(err)
	}
	defer api.Close()
	owner, err := os.ReadFile(filepath.Join(b.base, "state", "runner-id"))
	if err != nil {
		b.t.Fatal(err)
	}
	list, err := api.ContainerList(context.Background(), container.ListOptions{
		All: true, Filters: filters.NewArgs(filters.Arg("label", "ratchetai.runner="+strings.TrimSpace(string(owner)))),
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

// inspectOwner checks that everything in the workspace is the person's, also
// what an agent made.
func (b *bundle) inspectOwner() {
	want, err := os.Lstat(b.ws)
	if err != nil {
		b.t.Fatal(err)
	}
	owner := want.Sys().(*syscall.Stat_t).Uid
	err = filepath.WalkDir(b.ws, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if uid := info.Sys().(*syscall.Stat_t).Uid; uid != owner {
			b.t.Errorf("%s belongs to %d, want %d", path, uid, owner)
		}
		return nil
	})
	if err != nil {
		b.t.Error(err)
	}
}

// inspectProcesses checks that no process of a session's container is left,
// which would also hold its directory.
func (b *bundle) inspectProcesses() {
	out, err := exec.Command("ps", "-eo", "pid,stat,args").CombinedOutput()
	if err != nil {
		b.t.Logf("no ps: %v", err)
		return
	}
	for _, text := range strings.Split(string(out), "\n") {
		if strings.Contains(text, b.base) && !strings.Contains(text, "ps -eo") {
			b.t.Errorf("process left over: %s", text)
		}
	}
}

//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
)

// session returns the id of the bundle's only session.
func (b *bundle) session() string {
	b.t.Helper()
	ids := b.sessions()
	if len(ids) != 1 {
		b.t.Fatalf("%d sessions, want 1", len(ids))
	}
	return ids[0]
}

func (b *bundle) sessions() []string {
	b.t.Helper()
	entries, err := os.ReadDir(filepath.Join(b.base, "state", "sessions"))
	if err != nil {
		b.t.Fatal(err)
	}
	var ids []string
	for _, e := range entries {
		ids = append(ids, e.Name())
	}
	return ids
}

// await waits until the only session's journal has an entry that match accepts.
func (b *bundle) await(match func(journal.Entry) bool) journal.Entry {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), sessionMax)
	defer cancel()
	var dir string
	for dir == "" && ctx.Err() == nil {
		if ids := b.sessions(); len(ids) > 0 && exists(filepath.Join(b.store.Journal(ids[0]), journal.FileName)) {
			dir = b.store.Journal(ids[0])
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	var seen []string
	for e, err := range journal.Follow(ctx, dir, 1, "") {
		if err != nil {
			b.t.Fatal(err)
		}
		if match(e) {
			return e
		}
		seen = append(seen, fmt.Sprintf("%s %s %.200s", e.Time.Format("05.000"), e.Type, e.Data))
	}
	b.t.Fatalf("the awaited event did not come in %s, only:\n%s", sessionMax, strings.Join(seen, "\n"))
	return journal.Entry{}
}

// awaitTool waits until the agent runs a shell command that contains text.
func (b *bundle) awaitTool(text string) {
	b.t.Helper()
	b.await(func(e journal.Entry) bool {
		return e.Type == string(event.TypeToolStarted) && bytes.Contains(e.Data, []byte(text))
	})
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// all returns the data of every event of type T in the journal of session id.
func all[T event.Data](b *bundle, id string) []T {
	b.t.Helper()
	var zero T
	var out []T
	for _, e := range b.entries(id) {
		if e.Type != string(zero.EventType()) {
			continue
		}
		d, err := event.Decode(event.Type(e.Type), e.Data)
		if err != nil {
			b.t.Fatal(err)
		}
		out = append(out, d.(T))
	}
	return out
}

func (b *bundle) entries(id string) []journal.Entry {
	b.t.Helper()
	var out []journal.Entry
	for e, err := range journal.Read(b.store.Journal(id), 1) {
		if err != nil {
			b.t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

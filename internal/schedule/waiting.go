package schedule

import (
	"context"
	"slices"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
)

const (
	// waitingAfter is how long a task is queued before it is in the inbox.
	waitingAfter = time.Minute
	// waitingMax bounds the tasks of which the inbox says so.
	waitingMax = 100
)

// Waiting returns queued tasks that no connected runner could take as things are, with why,
// as inbox items, oldest first, at most waitingMax. In the first minute after a start, in
// which runners come back, there are none.
func (d *Dispatcher) Waiting(context.Context) ([]api.InboxItem, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if now.Sub(d.begun) < waitingAfter {
		return nil, nil
	}
	var items []api.InboxItem
	for _, e := range d.queue.list {
		if len(items) == waitingMax {
			break
		}
		if now.Sub(e.due) < waitingAfter {
			continue
		}
		if why, stuck := d.why(e, now); stuck {
			items = append(items, api.InboxItem{
				ID: "waiting-" + e.id, Kind: api.InboxWaiting, Since: e.due, Task: e.id, Title: e.name, Text: why,
			})
		}
	}
	slices.SortStableFunc(items, func(a, b api.InboxItem) int { return a.Since.Compare(b.Since) })
	return items, nil
}

package schedule

import (
	"slices"
	"sync"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

const (
	// supersededMax bounds the older instances of a runner that are remembered.
	supersededMax = 16
	// declinedMax bounds the tasks of which is remembered that a runner declined them; above
	// it, it is asked again.
	declinedMax = 1000
)

// runner is one that the store knows. Dispatcher.mu guards it.
type runner struct {
	syncing sync.Mutex // held while a report is taken in

	api.Runner // as it last said, with the labels of its device token
	instance   string
	superseded []string  // instances before, oldest first
	seen       time.Time // last contact in this process, monotonic; zero: none
	saved      time.Time
	poll       *poll // nil: none is there
	said       saying

	held     map[string]*held   // by session
	placing  map[string]string  // workspace of each task that the store is assigning
	foreign  map[string]string  // workspace of sessions that it reports and has no lease for
	declined map[string]refusal // by task
	scanned  uint64             // queue.added when it last looked; 0: its state has changed
}

// refusal is why a runner gave a task back. It counts until the runner's state changes or
// somebody retries the task, or until a time.
type refusal struct {
	reason string
	until  time.Time
}

// held is an open session. Dispatcher.mu guards it, except what never changes.
type held struct {
	store.Held // Task has no prompt once the offer is accepted
	at         *runner
	avoid      []string // runners where its task failed before; see entry
	workspace  string   // by its name, once that is known
	expires    time.Time
	missing    time.Time // the first report without it; zero: the last one had it
	announced  bool      // the runner started it beside its places
	told       bool      // the offer was in an answer
	over       bool      // the runner says that the agent has ended
	acked      int64
}

// connected reports whether a runner is there, as far as one can know.
func (r *runner) connected(now time.Time) bool {
	return r.poll != nil || !r.seen.IsZero() && now.Sub(r.seen) < api.LeaseTime
}

// wake makes the poll that is there look again.
func (r *runner) wake() {
	if r.poll != nil {
		r.poll.wake()
	}
}

// silent ends the poll of a runner that seems not to be at its other end.
func (r *runner) silent() {
	if p := r.poll; p != nil {
		r.poll = nil
		p.wake()
	}
}

// used is how many of its places are taken.
func (r *runner) used() int {
	n := len(r.placing) + len(r.foreign)
	for _, h := range r.held {
		if !h.over && !h.announced {
			n++
		}
	}
	return n
}

// working is how many sessions it is at, also those that it started by itself.
func (r *runner) working() (n int) {
	for _, h := range r.held {
		if !h.over && h.State != task.Offered {
			n++
		}
	}
	return n
}

func (r *runner) free() int { return r.Capacity - r.used() }

// find returns the workspace of a name; the empty name is the default one.
func (r *runner) find(name string) (api.Workspace, bool) {
	for _, w := range r.Workspaces {
		if name == w.Name || name == "" && w.Default {
			return w, true
		}
	}
	return api.Workspace{}, false
}

// holder returns the session that keeps others out of a workspace; it is empty if taken
// is true and the store is still assigning the task.
func (r *runner) holder(w api.Workspace) (session string, taken bool) {
	if w.Shared {
		return "", false
	}
	for _, h := range r.held {
		if !h.over && !h.announced && r.nameOf(h.workspace) == w.Name {
			return h.Session, true
		}
	}
	for id, name := range r.foreign {
		if r.nameOf(name) == w.Name {
			return id, true
		}
	}
	for _, name := range r.placing {
		if name == w.Name {
			return "", true
		}
	}
	return "", false
}

func (r *runner) nameOf(workspace string) string {
	if workspace != "" {
		return workspace
	}
	w, _ := r.find("")
	return w.Name
}

// decline remembers that the runner gave a task back.
func (r *runner) decline(taskID string, why refusal) {
	if r.declined == nil || len(r.declined) >= declinedMax {
		r.declined = map[string]refusal{}
	}
	r.declined[taskID] = why
}

// refuses reports whether the runner is not to be asked to take a task.
func (r *runner) refuses(taskID string, now time.Time) bool {
	why, ok := r.declined[taskID]
	return ok && (why.until.IsZero() || now.Before(why.until))
}

// attach makes an open session the runner's.
func (d *Dispatcher) attach(r *runner, s store.Held, lease time.Duration) *held {
	h := &held{
		Held: s, at: r, workspace: r.nameOf(s.Workspace), expires: time.Now().Add(lease),
		announced: s.Task.Runner == s.Runner && s.Task.MaxAttempts == 1 && s.Task.OnLost == task.LostFinish, // as Announce says
	}
	if h.State != task.Offered {
		h.forget()
	}
	if r.held == nil {
		r.held = map[string]*held{}
	}
	r.held[h.Session] = h
	d.held[h.Session] = h
	return h
}

// detach frees the place and the workspace of a session.
func (d *Dispatcher) detach(h *held) {
	delete(d.held, h.Session)
	delete(h.at.held, h.Session)
	h.at.scanned = 0
}

// forget drops what only the offer needs.
func (h *held) forget() {
	h.Task.Title, h.Task.Prompt, h.Task.Env = name(&h.Task), "", nil
}

// away reports whether the lease has run out.
func (h *held) away(now time.Time) bool { return h.State != task.Offered && now.After(h.expires) }

// able reports whether a and b can take the same tasks.
func able(a, b *api.Runner) bool {
	return a.Name == b.Name && a.Capacity == b.Capacity && a.Health.Ready == b.Health.Ready &&
		slices.Equal(a.Labels, b.Labels) && slices.Equal(a.Workspaces, b.Workspaces) &&
		slices.EqualFunc(a.Agents, b.Agents, func(x, y api.Agent) bool { return x.Kind == y.Kind && x.Login == y.Login })
}

// same reports whether a and b say the same.
func same(a, b *api.Runner) bool {
	return able(a, b) && a.Version == b.Version && a.LostAfterMS == b.LostAfterMS && a.Device == b.Device &&
		slices.Equal(a.Agents, b.Agents) && slices.Equal(a.Health.Reasons, b.Health.Reasons)
}

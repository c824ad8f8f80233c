package schedule

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// entry is what matching needs of a queued task: not its prompt.
type entry struct {
	id        string
	name      string
	priority  int
	created   time.Time
	due       time.Time // since when it waits for a runner
	notBefore time.Time // by the wall clock; zero: none
	deadline  time.Time // likewise
	workspace string
	agent     string
	runner    string
	labels    []string
	avoid     []string  // runners where it failed for no fault of its own
	again     time.Time // not tried there before
	rest      time.Time // not matched before
	// look is when to try again without anything having changed; zero: never.
	look time.Time
}

func newEntry(t *task.Task, queued time.Time) *entry {
	e := &entry{
		id: t.ID, name: name(t), priority: t.Priority, created: t.CreatedAt, due: queued,
		deadline: deref(t.Deadline), workspace: t.Workspace, agent: agentKind(t.Agent), runner: t.Runner, labels: t.Labels,
	}
	if e.notBefore = deref(t.NotBefore); e.notBefore.After(queued) {
		e.due = e.notBefore
	}
	e.look = e.notBefore
	return e
}

// name is the task's, without keeping its prompt.
func name(t *task.Task) string { return strings.Clone(t.Name()) }

func deref(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// failed has the runner avoided, and those that failed not tried again before a pause that grows.
func (e *entry) failed(runner string, now time.Time) {
	e.avoid = append(e.avoid, runner)
	e.again = now.Add(min(failedPause<<min(len(e.avoid)-1, 10), failedPauseMax))
	e.look = e.again
}

// pause keeps e from being matched for a while.
func (e *entry) pause(now time.Time, d time.Duration) {
	e.rest, e.look = now.Add(d), now.Add(d)
}

func agentKind(agent string) string {
	if agent == "" {
		return "claude"
	}
	return agent
}

// looks reports whether it is time to try again; it is then for the next time that there is
// cause to.
func (e *entry) looks(now time.Time) bool {
	if e.look.IsZero() || e.look.After(now) {
		return false
	}
	e.look = time.Time{}
	if e.again.After(now) {
		e.look = e.again // it was for a pause that ends before
	}
	return true
}

// ready reports whether it may be matched now.
func (e *entry) ready(now time.Time) bool {
	late := !e.deadline.IsZero() && !now.Before(e.deadline)
	return !late && !e.notBefore.After(now) && !e.rest.After(now)
}

// before is the order of dispatch: by priority, then by age.
func before(a, b *entry) int {
	if c := cmp.Compare(b.priority, a.priority); c != 0 {
		return c
	}
	if c := a.created.Compare(b.created); c != 0 {
		return c
	}
	return cmp.Compare(a.id, b.id)
}

// queue is every queued task, in order.
type queue struct {
	list []*entry
	byID map[string]*entry
	// added counts what came; a runner that saw this count has seen all of it.
	added uint64
}

func newQueue() queue { return queue{byID: map[string]*entry{}} }

func (q *queue) insert(e *entry) {
	if q.byID[e.id] != nil {
		return
	}
	i, _ := slices.BinarySearchFunc(q.list, e, before)
	q.list = slices.Insert(q.list, i, e)
	q.byID[e.id] = e
	q.added++
}

func (q *queue) remove(id string) *entry {
	e := q.byID[id]
	if e == nil {
		return nil
	}
	delete(q.byID, id)
	if i, ok := slices.BinarySearchFunc(q.list, e, before); ok {
		q.list = slices.Delete(q.list, i, i+1)
	}
	return e
}

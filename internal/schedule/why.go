package schedule

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// Why says in words what a queued task waits for; empty if it is not queued, or just now
// being assigned.
func (d *Dispatcher) Why(_ context.Context, t task.Task) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.queue.byID[t.ID]
	if e == nil {
		return ""
	}
	why, _ := d.why(e, time.Now())
	return why
}

// why says what e waits for, by the runner that is nearest to taking it. stuck is true if
// no runner could take it as things are, however long it waits.
func (d *Dispatcher) why(e *entry, now time.Time) (words string, stuck bool) {
	if e.notBefore.After(now) {
		return "not before " + clock(e.notBefore, now), false
	}
	near, lacks, any := d.nearest(e, now, true)
	if near != nil && lacks >= lacksLogin {
		return near.lacking(e, lacks), lacks < lacksRest
	}
	switch away, missing, _ := d.nearest(e, now, false); {
	case away != nil && missing > lacksLogin:
		return away.awaySince(now), true
	case !any:
		return "no runner is connected", true
	case near == nil:
		return "no runner is named " + e.runner, true
	}
	return d.nobody(e, near, lacks), true
}

// nearest returns the runner that is nearest to taking e, of those that are connected or of
// those that are not, and what it lacks; nil if e is for another one. any is true if there
// is any such runner.
func (d *Dispatcher) nearest(e *entry, now time.Time, connected bool) (near *runner, lacks lack, any bool) {
	for _, r := range d.runners {
		if r.connected(now) != connected {
			continue
		}
		any = true
		l := r.fit(e, now)
		if l == lacksName {
			continue
		}
		if near == nil || l > lacks || l == lacks && r.Name < near.Name {
			near, lacks = r, l
		}
	}
	return near, lacks, any
}

// lacking says what r lacks for e.
func (r *runner) lacking(e *entry, l lack) string {
	switch l {
	case lacksLogin:
		if r.expired(e.agent) {
			return fmt.Sprintf("the login of %s on %s has expired", e.agent, r.Name)
		}
		return fmt.Sprintf("%s on %s is logged out", e.agent, r.Name)
	case lacksHealth:
		if len(r.Health.Reasons) > 0 {
			return r.Name + " " + r.Health.Reasons[0]
		}
		return r.Name + " takes no tasks"
	case lacksConsent:
		return fmt.Sprintf("%s declined it: %s", r.Name, cmp.Or(r.declined[e.id].reason, "it did not say why"))
	case lacksRest:
		return fmt.Sprintf("%s could not run it and tries again in %s", r.Name, max(time.Second, time.Until(e.again).Round(time.Second)))
	case lacksPlace:
		switch {
		case r.Capacity <= 0:
			return r.Name + " has no places"
		case r.Capacity == 1:
			return "the only place of " + r.Name + " is taken"
		}
		return fmt.Sprintf("all %d places of %s are taken", r.Capacity, r.Name)
	case lacksTurn:
		w, _ := r.find(e.workspace)
		session, _ := r.holder(w)
		if h := r.held[session]; h != nil && h.away(time.Now()) {
			return fmt.Sprintf("workspace %s on %s is taken by session %s, which is away", w.Name, r.Name, session)
		}
		return fmt.Sprintf("workspace %s on %s is taken by %s", w.Name, r.Name, cmp.Or(prefixed("session ", session), "another task"))
	}
	return r.Name + " has room and is expected to ask for it"
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

func (r *runner) expired(agent string) bool {
	return slices.ContainsFunc(r.Agents, func(a api.Agent) bool { return a.Kind == agent && a.Login == "expired" })
}

func (r *runner) awaySince(now time.Time) string {
	return r.Name + " is away since " + clock(r.SeenAt, now)
}

// nobody says what no connected runner has; near is the one that has the most of it.
func (d *Dispatcher) nobody(e *entry, near *runner, l lack) string {
	whom, workspace := "no runner has ", "a default workspace"
	if e.runner != "" {
		whom, workspace = near.Name+" has no ", "default workspace"
	}
	if e.workspace != "" {
		workspace = "workspace " + e.workspace
	}
	switch l {
	case lacksWorkspace:
		return whom + workspace
	case lacksLabel:
		return whom + d.missingLabel(e, near, workspace)
	}
	return whom + e.agent
}

// missingLabel names the label that nobody has, or else the first that near lacks, with
// what it is to come together with.
func (d *Dispatcher) missingLabel(e *entry, near *runner, workspace string) string {
	now := time.Now()
	lacking := func(has func(label string) bool) string {
		i := slices.IndexFunc(e.labels, func(l string) bool { return !has(l) })
		if i < 0 {
			return ""
		}
		return e.labels[i]
	}
	anybody := func(label string) bool {
		for _, r := range d.runners {
			if r.connected(now) && slices.Contains(r.Labels, label) {
				return true
			}
		}
		return false
	}
	nearest := lacking(func(l string) bool { return slices.Contains(near.Labels, l) })
	switch label := lacking(anybody); {
	case label != "":
		return "label " + label
	case e.runner != "":
		return "label " + nearest
	case len(e.labels) > 1 && e.workspace == "":
		return "all of the labels " + strings.Join(e.labels, ", ")
	}
	return workspace + " and label " + nearest
}

// clock is a time for people: of today without the date.
func clock(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	if t.Year() == now.Year() && t.YearDay() == now.YearDay() {
		return t.Format("15:04 MST")
	}
	return t.Format("2006-01-02 15:04 MST")
}

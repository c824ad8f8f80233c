package schedule

import (
	"slices"
	"time"
)

// lack is why a runner does not take a task, in the order of how near it is to taking it.
type lack int

const (
	lacksName lack = iota // the task is for another runner
	lacksWorkspace
	lacksLabel
	lacksAgent
	lacksLogin
	lacksHealth
	lacksConsent // it declined the task
	// From here on it only waits for its turn.
	lacksRest // it failed there a moment ago
	lacksPlace
	lacksTurn // somebody else is in the workspace
	lacksNothing
)

// fit returns the first thing that r lacks for e. It does not allocate.
func (r *runner) fit(e *entry, now time.Time) lack {
	if e.runner != "" && e.runner != r.ID && e.runner != r.Name {
		return lacksName
	}
	w, ok := r.find(e.workspace)
	if !ok {
		return lacksWorkspace
	}
	for _, l := range e.labels {
		if !slices.Contains(r.Labels, l) {
			return lacksLabel
		}
	}
	if l := r.login(e.agent); l != lacksNothing {
		return l
	}
	if !r.Health.Ready {
		return lacksHealth
	}
	if r.refuses(e.id, now) {
		return lacksConsent
	}
	if e.again.After(now) && slices.Contains(e.avoid, r.ID) {
		return lacksRest
	}
	if r.free() <= 0 {
		return lacksPlace
	}
	if _, taken := r.holder(w); taken {
		return lacksTurn
	}
	return lacksNothing
}

func (r *runner) login(agent string) lack {
	for _, a := range r.Agents {
		if a.Kind == agent && a.Login == "ready" {
			return lacksNothing
		} else if a.Kind == agent {
			return lacksLogin
		}
	}
	return lacksAgent
}

// best returns the runner that is to have e now, or nil: of those that fit and whose poll
// is there, one where e has not failed before, then the one with the most free places.
func (d *Dispatcher) best(e *entry, now time.Time) *runner {
	var best *runner
	for _, r := range d.runners {
		if r.poll == nil || r.fit(e, now) != lacksNothing {
			continue
		}
		if best == nil || better(e, r, best) {
			best = r
		}
	}
	return best
}

func better(e *entry, a, b *runner) bool {
	if x, y := slices.Contains(e.avoid, a.ID), slices.Contains(e.avoid, b.ID); x != y {
		return y
	}
	if x, y := a.free(), b.free(); x != y {
		return x > y
	}
	return a.ID < b.ID
}

// spared reports whether e had better wait for another runner than r, where it failed
// before: one that is connected and could take it now. Then it is looked at again soon.
func (d *Dispatcher) spared(e *entry, r *runner, now time.Time) bool {
	if !slices.Contains(e.avoid, r.ID) {
		return false
	}
	for _, other := range d.runners {
		if other.connected(now) && !slices.Contains(e.avoid, other.ID) && other.fit(e, now) == lacksNothing {
			e.look = now.Add(tick)
			return true
		}
	}
	return false
}

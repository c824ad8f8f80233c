package connect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/credential"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
)

const (
	// lookEvery is how old what is known of this machine may be.
	lookEvery = time.Minute
	// lookAgain is the same while something is wrong, so that it is noticed when it is right.
	lookAgain = 5 * time.Second
	lookMax   = 3 * time.Second
	// diskMin is what must be free where sessions are kept, for new ones; in bytes.
	diskMin = 1 << 30
)

// The states of logins.
const (
	loginReady   = "ready"
	loginMissing = "logged_out"
	loginExpired = "expired"
)

// looker remembers what was seen of this machine.
type looker struct {
	mu     sync.Mutex
	at     time.Time
	health api.Health
	agents []api.Agent
	full   bool // the disk

	seen sync.Mutex // held for a moment only
	copy api.Health
}

// last is what was seen last.
func (k *looker) last() api.Health {
	k.seen.Lock()
	defer k.seen.Unlock()
	return k.copy
}

// look says whether this machine can take sessions. It looks as often as it is asked, and no
// more often than makes sense: the disk costs nothing to look at, and fills quickly.
func (d *Daemon) look(ctx context.Context) (api.Health, []api.Agent) {
	d.looker.mu.Lock()
	defer d.looker.mu.Unlock()
	k := &d.looker
	age := lookEvery
	if !k.at.IsZero() && !k.health.Ready {
		age = lookAgain
	}
	full := d.disk(ctx) != ""
	if k.at.IsZero() || time.Since(k.at) >= age || full != k.full {
		var reasons []string
		k.agents = d.agents()
		for _, look := range []func(context.Context) string{d.disk, d.engine, d.logins} {
			if reason := look(ctx); reason != "" {
				reasons = append(reasons, reason)
			}
		}
		if !slices.Equal(reasons, k.health.Reasons) {
			d.sayHealth(reasons)
		}
		k.at, k.health, k.full = time.Now(), api.Health{Ready: len(reasons) == 0, Reasons: reasons}, full
		k.seen.Lock()
		k.copy = k.health
		k.seen.Unlock()
	}
	return api.Health{Ready: k.health.Ready, Reasons: slices.Clone(k.health.Reasons)}, slices.Clone(k.agents)
}

// lookSoon makes the next look a new one: something went wrong that may be this machine's fault.
func (d *Daemon) lookSoon() {
	d.looker.mu.Lock()
	defer d.looker.mu.Unlock()
	d.looker.at = time.Time{}
}

func (d *Daemon) sayHealth(reasons []string) {
	if len(reasons) == 0 {
		d.Say("takes sessions again")
	}
	for _, r := range reasons {
		d.Say("takes no sessions: " + d.Name + " " + r)
	}
}

func (d *Daemon) disk(context.Context) string {
	var s unix.Statfs_t
	if unix.Statfs(d.book.store.Root(), &s) != nil {
		return ""
	}
	if left := s.Bavail * uint64(s.Bsize); left < diskMin {
		return fmt.Sprintf("has %.1f GB of disk left", float64(left)/1e9)
	}
	return ""
}

func (d *Daemon) engine(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, lookMax)
	defer cancel()
	if _, err := d.Runner.Engine.List(ctx, d.id); err != nil {
		return "has no container engine that answers"
	}
	return ""
}

// logins is wrong if no agent has one; d.looker.agents is new.
func (d *Daemon) logins(context.Context) string {
	if slices.ContainsFunc(d.looker.agents, func(a api.Agent) bool { return a.Login == loginReady }) {
		return ""
	}
	return "has no login of an agent"
}

// agents are those of this machine, with their logins.
func (d *Daemon) agents() []api.Agent {
	var all []api.Agent
	for _, kind := range []agent.Kind{agent.Claude, agent.Codex} {
		a := api.Agent{Kind: string(kind), Version: d.AgentVersions[kind], Login: loginReady}
		t, err := runner.Task{Kind: kind}, error(nil)
		if len(d.Workspaces) > 0 {
			t, err = d.Task(d.Workspaces[0].Name, kind)
			t.Kind = kind
		}
		if err == nil {
			_, err = d.Runner.Login(t)
		}
		switch {
		case errors.Is(err, credential.ErrExpired):
			a.Login, a.Detail = loginExpired, brief(err.Error())
		case err != nil:
			a.Login, a.Detail = loginMissing, brief(err.Error())
		}
		all = append(all, a)
	}
	return all
}

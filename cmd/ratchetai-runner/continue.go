package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
)

// origin finds the session that --resume or --fork names, nil if neither is given,
// and lets what the command line leaves open be as it was there. A record that was copied from
// elsewhere says no more than the model: nobody vouches for its hosts.
func (a *app) origin(ctx context.Context, f *taskFlags, changed func(string) bool) (*runner.Origin, error) {
	arg := f.resume + f.fork
	switch {
	case f.resume != "" && f.fork != "":
		return nil, errors.New("--resume and --fork exclude each other")
	case arg == "":
		return nil, nil
	}
	store, err := a.store()
	if err != nil {
		return nil, err
	}
	o, err := store.Origin(arg)
	if errors.Is(err, runner.ErrBusy) {
		a.sweepNow(ctx, store) // its agent may have ended by itself
		o, err = store.Origin(arg)
	}
	if err != nil {
		return nil, err
	}
	if err := sameAgent(o, f, changed("model")); err != nil {
		return nil, err
	}
	if o.Copied {
		return o, nil
	}
	take := func(flag string, set func()) {
		if !changed(flag) {
			set()
		}
	}
	take("cwd", func() { f.cwd = o.Workspace })
	take("image", func() {
		if !f.image.devcontainer {
			f.image.ref = o.From.Ref
		}
	})
	take("user", func() { f.user = o.User })
	take("allow-host", func() { f.allowHosts = o.Allow })
	take("allow-path", func() { f.allowPaths = o.AllowPaths })
	take("allow-address", func() {
		for _, p := range o.Permit {
			f.allowAddresses = append(f.allowAddresses, p.String())
		}
	})
	take("credentials", func() {
		if o.Login != "" {
			f.credentials = o.Login
		}
	})
	if !changed("credentials") {
		take("account", func() { f.account = o.Account })
	}
	return o, nil
}

// sameAgent keeps the model, unless another one of the same agent's is given.
func sameAgent(o *runner.Origin, f *taskFlags, given bool) error {
	kind, model, err := agent.ParseModel(f.model)
	if given && err == nil && kind != o.Agent.Kind {
		return fmt.Errorf("--model: session %s is a conversation with %s, which %s cannot continue", short(o.ID), o.Agent.Kind, kind)
	}
	if given && model != "" {
		return nil // or wrong, which is found later
	}
	f.model = string(o.Agent.Kind)
	if o.Agent.Model != "" {
		f.model += ":" + o.Agent.Model
	}
	return nil
}

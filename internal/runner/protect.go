package runner

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/credential"
	"github.com/sprawlto/ratchetai-runner/internal/devcontainer"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/workspace"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// protect makes the guarded paths of s's workspace read-only in the sandbox.
// The plan must be verified when the sandbox runs.
func (r *Runner) protect(s *Session) (workspace.Plan, []sandbox.Mount, error) {
	plan, err := workspace.New(s.Workspace, s.AllowPaths, r.Store.held(s.Workspace, s.ID))
	if err == nil {
		err = r.share(s, &plan)
	}
	if err != nil {
		return plan, nil, err
	}
	dir := r.Store.dir(s.ID)
	owner, err := ownerFor(s.User)
	if err != nil {
		return plan, nil, err
	}
	held, err := r.hold(s, plan.Hold, owner)
	if err != nil {
		return plan, nil, err
	}
	if len(plan.Mounts)+len(held) > 0 {
		if err := gitDefaults(filepath.Join(dir, "home"), held, owner); err != nil {
			return plan, nil, fmt.Errorf("prepare the agent's home: %w", err)
		}
	}
	var mounts []sandbox.Mount
	for _, m := range plan.Mounts {
		mounts = append(mounts, sandbox.Mount{
			Source: filepath.Join(s.Workspace, m.Path), Target: path.Join(agent.Workspace, m.Path), ReadOnly: m.ReadOnly,
		})
	}
	for _, p := range held {
		mounts = append(mounts, sandbox.Mount{
			Source: filepath.Join(dir, emptyDir), Target: path.Join(agent.Workspace, p), ReadOnly: true,
		})
	}
	for _, c := range plan.Open {
		s.emit(event.PathViolation{Path: c.Path, What: string(c.What), Reason: c.Reason})
	}
	return plan, mounts, nil
}

// startProtected starts the sandbox with the guarded paths read-only and more of the
// workspace mounted. While the engine works, it looks at the whole workspace.
func (r *Runner) startProtected(ctx context.Context, s *Session, spec sandbox.Spec, more []devcontainer.Mount) (sandbox.Process, error) {
	plan, mounts, err := r.protect(s)
	if err != nil {
		return nil, err
	}
	binds, err := r.bind(s, &plan, more)
	if err != nil {
		return nil, err
	}
	spec.Mounts = slices.Concat(spec.Mounts, mounts, binds)
	looked := make(chan error, 1) // one value, from the look at the workspace
	go func() { looked <- r.remember(ctx, s) }()
	proc, err := r.Engine.Start(ctx, spec)
	if lerr := <-looked; err == nil {
		err = lerr
	}
	if err == nil {
		err = plan.Verify()
	}
	if err == nil {
		err = r.unshared(s, plan, len(binds))
	}
	if err != nil && proc != nil {
		_ = proc.Close()
	}
	return proc, err
}

// gitDefaults are settings of git's in the session's home for what is different
// in a sandbox: git keeps out of held directories, which it cannot remove, and
// does not write to the read-only config for every branch that it makes.
func gitDefaults(home string, held []string, owner *credential.Owner) error {
	ignore := ""
	for _, p := range held {
		ignore += "/" + p + "/\n"
	}
	config := filepath.Join(home, ".config")
	dir := filepath.Join(config, "git")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	made := []string{config, dir}
	for name, text := range map[string]string{"ignore": ignore, "config": "[branch]\n\tautoSetupMerge = false\n"} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
		made = append(made, file)
	}
	if owner == nil {
		return nil
	}
	for _, file := range made {
		if err := os.Lchown(file, owner.UID, owner.GID); err != nil {
			return err
		}
	}
	return nil
}

package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// signInMax bounds a person's login.
const signInMax = 15 * time.Minute

// ErrNotSignedIn means that the vendor's CLI ended and left no login.
var ErrNotSignedIn = errors.New("nobody was logged in")

// attender is an engine with terminals.
type attender interface {
	sandbox.Engine
	Attend(ctx context.Context, id string, command []string, t sandbox.Terminal) (int, error)
}

// SignIn lets the person at t log in with kind's vendor, by the vendor's own CLI in
// a sandbox that reaches only the vendor, and makes that the login of account. An
// account that has a login keeps it until there is another one. It wraps
// ErrNotSignedIn when the person gave up or the vendor refused.
func (r *Runner) SignIn(ctx context.Context, engine attender, kind agent.Kind, account, image, term string, permit []netip.Prefix, t sandbox.Terminal) error {
	if _, err := r.Store.Accounts().Dir(string(kind), account); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, signInMax)
	defer cancel()
	p := agent.SignIn(kind)
	p.Env = append(p.Env, "TERM="+term)
	user := fmt.Sprintf("%d:%d", os.Geteuid(), os.Getegid())
	spec, err := r.helper(ctx, helperPrefix+uuid.NewString(), kind, user, p, permit, nil)
	if spec.State != "" {
		defer os.RemoveAll(filepath.Dir(spec.State))
	}
	if err != nil {
		return err
	}
	// The sandbox waits; the CLI is a second command in it, at a terminal.
	spec.Image, spec.Command = image, []string{"sleep", "infinity"}
	proc, err := engine.Start(ctx, spec)
	if err != nil {
		return err
	}
	defer func() { _ = proc.Remove(context.WithoutCancel(ctx)) }()
	go func() { _, _ = io.Copy(io.Discard, proc.Stdout()) }()
	go func() { _, _ = io.Copy(io.Discard, proc.Stderr()) }()
	code, err := engine.Attend(ctx, spec.ID, p.Command, t)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w within %v", ErrNotSignedIn, signInMax)
	}
	if err != nil {
		return err
	}
	made := filepath.Join(filepath.Dir(spec.State), "home", "."+string(kind))
	if err := r.Store.Accounts().Adopt(string(kind), account, made); err != nil {
		return fmt.Errorf("%w (the CLI's exit code is %d): %w", ErrNotSignedIn, code, err)
	}
	return nil
}

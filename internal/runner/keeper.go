package runner

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/credential"
	"github.com/sprawlto/ratchetai-runner/internal/egress"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

const (
	renewMax   = 60 * time.Second // what a vendor's CLI gets to renew a login
	leaveMax   = 30 * time.Second // and then to end by itself
	renewLook  = 100 * time.Millisecond
	renewQuiet = 2 * time.Second  // after an answer and a change: nothing more comes
	renewLate  = 20 * time.Second // after an answer without a change: none comes
	helperTime = 2 * time.Minute  // how long a container that serves no session may need to start

	// helperPrefix begins the ids of sandboxes that are no session's.
	helperPrefix = "login-"
)

// keeper returns what renews login for sessions that start from image.
func (r *Runner) keeper(login credential.Source, image string, permit []netip.Prefix, report func(error)) *credential.Keeper {
	return &credential.Keeper{
		Source: login, Report: report,
		Renew: func(ctx context.Context, path string) error {
			return r.renew(ctx, agent.Kind(login.Agent), path, image, permit)
		},
	}
}

// keep renews the login of s before it ends, for as long as s runs.
func (r *Runner) keep(s *Session, login credential.Source) {
	if login.Mode == credential.ModeEnv || s.Image == "" {
		return
	}
	failed := false
	k := r.keeper(login, s.Image, s.Permit, func(err error) {
		switch {
		case err != nil:
			s.emit(event.Notice{Kind: "warning", Text: err.Error()})
		case failed:
			s.emit(event.Notice{Kind: "info", Text: "the login is renewed again"})
		}
		failed = err != nil
	})
	s.keeper.start(s.ctx, k)
}

// keeping is a keeper at work, or none.
type keeping struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// start replaces the keeper that there may be.
func (k *keeping) start(ctx context.Context, keeper *credential.Keeper) {
	k.end()
	ctx, k.cancel = context.WithCancel(ctx)
	k.done.Go(func() { keeper.Run(ctx) })
}

// end stops the keeper and waits for a renewal that is under way.
func (k *keeping) end() {
	if k.cancel != nil {
		k.cancel()
		k.done.Wait()
	}
}

// renew runs kind's CLI in a sandbox on the directory of the login file at path
// until the file has changed. A sandbox that a killed runner left at it is taken
// over: its CLI may be about to replace the file.
func (r *Runner) renew(ctx context.Context, kind agent.Kind, path, image string, permit []netip.Prefix) error {
	ctx, cancel := context.WithTimeout(ctx, helperTime+renewMax+2*leaveMax)
	defer cancel()
	before, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	renewal := agent.NewRenewal(kind)
	spec, err := r.renewal(ctx, kind, path, renewal, permit)
	if err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Dir(spec.State))
	spec.Image = image
	proc, err := r.Engine.Adopt(ctx, spec, 0)
	if errors.Is(err, sandbox.ErrNotFound) {
		proc, err = r.Engine.Start(ctx, spec)
	}
	if err != nil {
		return fmt.Errorf("run the vendor's CLI: %w", err)
	}
	defer func() { _ = proc.Remove(context.WithoutCancel(ctx)) }()
	answer := make(chan string, 1) // what the vendor had against it; closed at the end of stdout
	go listen(proc.Stdout(), renewal.Answered, answer)
	go func() { _, _ = io.Copy(io.Discard, proc.Stderr()) }()
	for i, line := range renewal.Lines {
		if err := proc.Send(uint64(i+1), line); err != nil {
			return err
		}
	}
	err = awaitRenewal(ctx, path, before, answer)
	_ = proc.CloseStdin(uint64(len(renewal.Lines) + 1))
	leave, done := context.WithTimeout(ctx, leaveMax)
	defer done()
	if _, werr := proc.Wait(leave); werr != nil {
		_ = proc.Kill(ctx)
	}
	return err
}

// awaitRenewal returns when the CLI has answered and the file at path has changed
// and then stayed the same for a while: a CLI may renew a login twice in a row, and
// Codex ends at once when it is told to, in the middle of that too. The error says
// why the file did not change.
func awaitRenewal(ctx context.Context, path string, before []byte, answer <-chan string) error {
	ctx, cancel := context.WithTimeout(ctx, renewMax)
	defer cancel()
	tick := time.NewTicker(renewLook)
	defer tick.Stop()
	last, since, changed := before, time.Now(), false
	problem := ""
	for ended := false; ; {
		now, err := os.ReadFile(path)
		if err == nil && !bytes.Equal(now, last) {
			last, since, changed = now, time.Now(), true
		}
		switch quiet := time.Since(since); {
		case changed && (ended || answer == nil && quiet > renewQuiet):
			return nil
		case !changed && (ended || answer == nil && quiet > renewLate):
			return errors.New("the vendor's CLI did not renew it" + problem)
		}
		select {
		case text, more := <-answer:
			answer, ended, since = nil, !more, time.Now()
			if text != "" {
				problem = ": " + text
			}
		case <-tick.C:
		case <-ctx.Done():
			if changed {
				return nil
			}
			return fmt.Errorf("the vendor's CLI did not renew it within %v%s", renewMax, problem)
		}
	}
}

// listen reads stdout to its end and passes on the answer in it, if there is one.
func listen(stdout io.Reader, answered func([]byte) (bool, string), answer chan<- string) {
	defer close(answer)
	const lineMax = 1 << 20
	for b := bufio.NewReaderSize(stdout, lineMax); ; {
		line, long, err := b.ReadLine()
		if err != nil {
			return
		}
		if ok, problem := answered(line); ok && !long {
			select {
			case answer <- problem:
			default:
			}
		}
	}
}

// renewal is the sandbox in which kind's CLI renews the login file at path: it
// sees the file's directory, writable. Its id is that of the directory, so that
// there is only one.
func (r *Runner) renewal(ctx context.Context, kind agent.Kind, path string, p agent.Renewal, permit []netip.Prefix) (sandbox.Spec, error) {
	dir, name := filepath.Dir(path), credential.File(string(kind))
	user, err := fileUser(path)
	if err != nil {
		return sandbox.Spec{}, err
	}
	target, links := loginDir, map[string]string{name: filepath.Base(path)}
	if p.Config {
		target, links = agent.Home+"/."+string(kind), nil
		if filepath.Base(path) != name {
			return sandbox.Spec{}, fmt.Errorf("%s is reached by a link from %s and has another name, which the vendor's CLI does not take", path, name)
		}
	}
	id := sha256.Sum256([]byte(dir))
	spec, err := r.helper(ctx, helperPrefix+hex.EncodeToString(id[:8]), kind, user, p.Process, permit, links)
	spec.Command = p.Command
	spec.Mounts = append(spec.Mounts, sandbox.Mount{Source: dir, Target: target})
	return spec, err
}

// helper is a sandbox for kind's CLI that serves no session: it has a home of its
// own, in which links lead to loginDir, and reaches the vendor only. The parent of
// its state directory is to be removed afterwards.
func (r *Runner) helper(ctx context.Context, id string, kind agent.Kind, user string, p agent.Process, permit []netip.Prefix, links map[string]string) (sandbox.Spec, error) {
	dir := filepath.Join(r.Store.root, "helpers", id)
	spec := sandbox.Spec{
		ID: id, Runner: r.Store.runner, User: user, Dir: "/tmp",
		State: filepath.Join(dir, "sandbox"), OrphanAfter: renewMax,
	}
	allowed, err := egress.Parse(p.Hosts...)
	if err != nil {
		return spec, err
	}
	proxy := egress.New(egress.Config{Policy: allowed, Permitted: permit, Upstream: r.Upstream, Resolver: r.Resolver, Dial: r.Dial})
	spec.Proxy = func(c net.Conn) { proxy.ServeConn(ctx, c) }
	home := filepath.Join(dir, "home")
	owner, err := ownerFor(user)
	if err == nil {
		err = os.MkdirAll(home, 0o700)
	}
	if err == nil {
		err = linkLogin(home, kind, links, owner)
	}
	if err != nil {
		return spec, fmt.Errorf("prepare a sandbox for the vendor's CLI: %w", err)
	}
	mounts, env := trust(r.CA)
	spec.Mounts = append(mounts, sandbox.Mount{Source: home, Target: agent.Home})
	spec.Env = environment(env, p.Env)
	return spec, nil
}

// owned reports whether a container belongs to a session that has not ended, or
// to a helper at work.
func (r *Runner) owned(c sandbox.Info) bool {
	if strings.HasPrefix(c.ID, helperPrefix) {
		return c.Running || time.Since(c.Created) < helperTime
	}
	// An end is recorded after the container is removed, unless the engine was
	// away then, or made the container after its runner had been killed.
	_, err := os.Stat(r.Store.dir(c.ID))
	return err == nil && !isFinished(r.Store.dir(c.ID))
}

// sweepHelpers removes what helpers of killed runners left on disk, which may be a
// login that nobody adopted.
func (r *Runner) sweepHelpers(containers map[string]bool) error {
	root := filepath.Join(r.Store.root, "helpers")
	entries, _ := os.ReadDir(root) // none: there never was one
	var errs []error
	for _, e := range entries {
		info, err := e.Info()
		if _, there := containers[e.Name()]; there || err != nil || time.Since(info.ModTime()) < helperTime {
			continue
		}
		errs = append(errs, os.RemoveAll(filepath.Join(root, e.Name())))
	}
	return errors.Join(errs...)
}

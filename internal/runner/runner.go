package runner

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/sirupsen/logrus"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/credential"
	"github.com/sprawlto/ratchetai-runner/internal/egress"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
	"github.com/sprawlto/ratchetai-runner/internal/mcp"
	"github.com/sprawlto/ratchetai-runner/internal/permission"
	"github.com/sprawlto/ratchetai-runner/internal/redact"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// Defaults of a Task.
const (
	DefaultTimeout     = 2 * time.Hour
	DefaultOrphanAfter = 10 * time.Minute
	DefaultAskTimeout  = 10 * time.Minute
	DefaultSilence     = 15 * time.Minute
)

// Runner starts sessions and takes them over.
type Runner struct {
	Store  *Store
	Engine sandbox.Engine
	Log    logrus.FieldLogger
	// Getenv and Home say where the host's logins are; os.Getenv and the user's
	// home directory outside tests.
	Getenv func(string) string
	Home   string
	// Upstream is the machine's own proxy on the way to a URL; see egress.Config.
	// Nil: none.
	Upstream func(*url.URL) (*url.URL, error)
	// CA is a file of CA certificates that sessions trust; see SystemCA.
	CA string
	// Resolver and Dial take the place of the machine's own behind the sessions'
	// proxies; nil but in tests and in package attack.
	Resolver egress.Resolver
	Dial     egress.DialFunc
}

// Task is what somebody wants done.
type Task struct {
	// ID is the session's, a UUID of version 7; empty: a new one. Its directory may
	// be there (Store.Reserve).
	ID        string
	Title     string
	Prompt    string
	Kind      agent.Kind
	Model     string // empty: the vendor's default
	BaseURL   string // of the model's API; empty: the vendor's own
	Workspace string // absolute, see CheckWorkspace
	User      string // "UID:GID"
	Image     string // tag of one with the agent in it
	From      Image  // what Image was made of; the zero value is the default image
	Env       []string
	Prepare   Prepare
	Allow     []string       // egress rules and presets beyond what the agent needs
	Permit    []netip.Prefix // private addresses that allowed names may lead to
	MCP       mcp.Config     // servers for the agent; the session may reach those with a URL
	// AllowPaths are paths of the workspace, relative to it, that stay writable and
	// unreported though package workspace guards them.
	AllowPaths []string
	Login      credential.Mode
	Account    string        // one of the runner's own; empty: the host's login
	Timeout    time.Duration // 0: DefaultTimeout
	Orphan     time.Duration // 0: DefaultOrphanAfter
	Limits     sandbox.Limits
	Runtime    string
	Budget     Budget
	Silence    time.Duration // of the agent that ends the session; 0: DefaultSilence, negative: none
	Origin     *Origin       // the conversation to continue, if any
	Fork       bool          // continue a copy of it
	// Permissions decides about tool calls; nil allows all of them.
	Permissions *permission.Policy
	Attended    bool          // somebody can answer the agent's questions
	AskTimeout  time.Duration // after which an ask is denied; 0: DefaultAskTimeout
	// RulesFile takes the rules for what is allowed always; absolute, or empty.
	RulesFile string
}

// Stopped is how a session ends that has not begun: the cause of the context's end while
// Start works.
type Stopped struct {
	Outcome event.Outcome
	Reason  string
}

func (s Stopped) Error() string { return s.Reason }

// Start begins a session with t's prompt and returns when its agent runs. The
// session goes on after ctx ends. When Start fails, the session and the reason
// are in the store, unless it could not even be created.
func (r *Runner) Start(ctx context.Context, t Task) (*Session, error) {
	login, err := r.Login(t)
	if err != nil {
		return nil, err
	}
	rec := record(t)
	if _, err := policy(rec, agent.New(rec.Agent).Process()); err != nil {
		return nil, err
	}
	if err := diskSpace(filepath.Join(r.Store.root, "sessions")); err != nil {
		return nil, err
	}
	held, err := r.Store.create(rec)
	if err != nil {
		return nil, err
	}
	s, err := r.open(rec, held)
	if err != nil {
		held.release()
		return nil, err
	}
	s.mu.Lock()
	err = s.apply(s.adapter.Start(), nil)
	if err == nil {
		_, err = s.do(agent.Command{ID: uuid.NewString(), Kind: agent.Message, Text: t.Prompt})
	}
	s.mu.Unlock()
	if err == nil {
		err = r.launch(ctx, s, t, login)
	}
	if err != nil {
		why := &stopped{outcome: event.Errored, reason: err.Error()}
		if ctx.Err() != nil {
			why = &stopped{outcome: event.Cancelled, reason: "cancelled before the agent ran"}
			var said Stopped
			if errors.As(context.Cause(ctx), &said) {
				why = &stopped{outcome: said.Outcome, reason: said.Reason}
			}
		}
		s.finish(end{stop: why}, nil)
		return nil, fmt.Errorf("session %s: %w", rec.ID, err)
	}
	return s, nil
}

func record(t Task) Record {
	if t.ID == "" {
		id, _ := uuid.NewV7() // fails only without randomness, which panics first
		t.ID = id.String()
	}
	rec := Record{
		ID: t.ID, Title: t.Title, Created: time.Now().UTC(),
		Agent: agent.Options{
			Kind: t.Kind, Model: t.Model, Conversation: uuid.NewString(), BaseURL: t.BaseURL, MCP: t.MCP.Names(),
			Permissions: t.Permissions, Attended: t.Attended,
		},
		Workspace: t.Workspace, User: t.User, Allow: slices.Concat(t.Allow, t.MCP.Hosts()), Permit: t.Permit, AllowPaths: t.AllowPaths,
		Login: string(t.Login), Account: t.Account, Image: t.Image, From: t.From, Prepare: t.Prepare.Command, Limits: t.Limits, OrphanAfter: t.Orphan, Budget: t.Budget,
		Silence: max(t.Silence, 0), AskTimeout: t.AskTimeout, RulesFile: t.RulesFile,
	}
	if t.Silence == 0 {
		rec.Silence = DefaultSilence
	}
	t.Origin.continueIn(&rec, t.Fork)
	if t.Kind == agent.Codex {
		rec.Agent.Instructions = instructions(t.Workspace)
	}
	if rec.Title == "" {
		rec.Title = firstLine(t.Prompt)
	}
	if rec.OrphanAfter == 0 {
		rec.OrphanAfter = DefaultOrphanAfter
	}
	if rec.AskTimeout == 0 {
		rec.AskTimeout = DefaultAskTimeout
	}
	timeout := t.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	rec.Deadline = rec.Created.Add(timeout)
	return rec
}

// Fail records a session of t that ended before it could begin, with notes before its
// end, so that whoever follows it hears why.
func (r *Runner) Fail(t Task, outcome event.Outcome, reason string, notes ...event.Data) error {
	rec := record(t)
	held, err := r.Store.create(rec)
	if err != nil {
		return err
	}
	s, err := r.open(rec, held)
	if err != nil {
		held.release()
		return err
	}
	s.emit(notes...)
	s.finish(end{stop: &stopped{outcome: outcome, reason: reason}}, nil)
	return s.left
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	if r := []rune(line); len(r) > 60 {
		line = string(r[:59]) + "…"
	}
	return line
}

// open opens the journal of rec, which may hold an earlier runner's part.
func (r *Runner) open(rec Record, held *lock) (*Session, error) {
	j, err := journal.Open(r.Store.dir(rec.ID), rec.ID)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Session{
		Record: rec, runner: r, journal: j, held: held, secrets: redact.New(),
		adapter: agent.New(rec.Agent), meter: newMeter(rec.Budget), ctx: ctx, cancel: cancel, ended: make(chan struct{}),
		asks: map[string]*openAsk{}, commands: map[string]bool{},
	}, nil
}

// policy is what the session may reach: what its agent needs and what its owner
// allows.
func policy(rec Record, p agent.Process) (egress.Policy, error) {
	allowed, err := egress.Parse(slices.Concat(p.Hosts, rec.Allow)...)
	if err != nil {
		return egress.Policy{}, err
	}
	return allowed.Deny(p.Denied...)
}

// launch starts the agent in its sandbox.
func (r *Runner) launch(ctx context.Context, s *Session, t Task, login credential.Source) error {
	if err := r.carry(s, t.Origin); err != nil {
		return err
	}
	if err := r.renewEnded(ctx, s, login); err != nil {
		return err
	}
	spec, err := r.prepare(s, t, login)
	if err != nil {
		return err
	}
	proc, err := r.startProtected(ctx, s, spec, t.Prepare.Mounts)
	if err != nil {
		return err
	}
	if err := s.run(proc); err != nil {
		_ = proc.Close()
		return err
	}
	return nil
}

// prepare makes everything that the sandbox needs and returns what to start.
func (r *Runner) prepare(s *Session, t Task, login credential.Source) (sandbox.Spec, error) {
	projected, err := r.project(s, login)
	if err != nil {
		return sandbox.Spec{}, err
	}
	if login.Mode == credential.ModeHostDir {
		s.emit(event.Notice{Kind: "warning", Text: hostDirHazard})
	}
	secrets := slices.Concat(secretValues(slices.Concat(projected.Env, t.Env)), t.MCP.Secrets)
	s.secrets.Add(secrets...)
	if err := saveSecrets(r.Store.dir(s.ID), secrets); err != nil {
		return sandbox.Spec{}, err
	}
	spec, err := r.spec(s)
	if err != nil {
		return sandbox.Spec{}, err
	}
	process := s.adapter.Process()
	spec.Image, spec.Runtime = t.Image, t.Runtime
	spec.Command = t.Prepare.before(process.Command, variables(projected.Env))
	if projected.Dir != "" {
		spec.Mounts = append(spec.Mounts, sandbox.Mount{Source: projected.Dir, Target: loginDir, ReadOnly: true})
	}
	mounts, env := trust(r.CA)
	spec.Env = environment(imagePath(t.From), t.Prepare.Env, env, process.Env, projected.Env, t.Env)
	servers, err := r.placeMCP(s, t.MCP, process.MCP, variables(environment(env, t.Env)))
	if err != nil {
		return sandbox.Spec{}, err
	}
	spec.Mounts = slices.Concat(spec.Mounts, mounts, servers)
	return spec, placeProfile(filepath.Join(r.Store.dir(s.ID), "home"), t.From)
}

// spec is the sandbox of s as far as Adopt needs it too.
func (r *Runner) spec(s *Session) (sandbox.Spec, error) {
	allowed, err := policy(s.Record, s.adapter.Process())
	if err != nil {
		return sandbox.Spec{}, err
	}
	dir := r.Store.dir(s.ID)
	return sandbox.Spec{
		ID: s.ID, Runner: r.Store.runner, User: s.User, Dir: agent.Workspace,
		State: filepath.Join(dir, "sandbox"),
		Mounts: []sandbox.Mount{
			{Source: s.Workspace, Target: agent.Workspace},
			{Source: filepath.Join(dir, "home"), Target: agent.Home},
		},
		Proxy:       s.proxy(allowed),
		OrphanAfter: s.OrphanAfter,
		Limits:      s.Limits,
	}, nil
}

// Attach takes over the session whose runner is gone and returns when it is up
// to date. A session that ended meanwhile is brought to its end first. It
// returns ErrBusy when another runner drives the session, and ErrFinished when
// nothing is left to do.
func (r *Runner) Attach(ctx context.Context, id string) (*Session, error) {
	rec, err := r.Store.Load(id)
	if err != nil {
		return nil, err
	}
	held, err := r.Store.lock(rec.ID)
	if err != nil {
		return nil, err
	}
	if isFinished(r.Store.dir(rec.ID)) {
		held.release()
		return nil, fmt.Errorf("session %s: %w", rec.ID, ErrFinished)
	}
	s, err := r.open(rec, held)
	if err != nil {
		held.release()
		return nil, err
	}
	if err := r.takeOver(ctx, s); err != nil {
		s.cancel()
		s.keeper.end()
		s.journal.Close()
		held.release()
		return nil, fmt.Errorf("session %s: %w", rec.ID, err)
	}
	return s, nil
}

func (r *Runner) takeOver(ctx context.Context, s *Session) error {
	secrets, err := loadSecrets(r.Store.dir(s.ID))
	if err != nil {
		return err
	}
	s.secrets.Add(secrets...)
	// Tokens that were renewed meanwhile must be known before a line is read.
	if login, err := r.login(s.Record); err == nil {
		// One that cannot be renewed now does not keep the session from its end.
		_ = r.renewEnded(ctx, s, login)
		if _, err := r.project(s, login); err != nil && !errors.Is(err, credential.ErrExpired) {
			return err
		}
	}
	if err := s.replay(r.Store.dir(s.ID)); err != nil {
		return err
	}
	if s.final.Outcome != "" {
		s.close()
		return nil
	}
	spec, err := r.spec(s)
	if err != nil {
		return err
	}
	proc, err := r.Engine.Adopt(ctx, spec, s.out)
	if errors.Is(err, sandbox.ErrNotFound) {
		s.finish(end{turn: s.turn, lost: errors.New("the sandbox is gone")}, nil)
		return nil
	}
	if err != nil {
		return err
	}
	err = r.remember(ctx, s) // the runner before may not have come to it
	if err == nil {
		if verr := sandbox.VerifyStdout(spec.State, s.out, s.sum); verr != nil {
			s.emit(event.Notice{Kind: "warning", Text: "gap: output may be missing or wrong from here on: " + verr.Error()})
		}
		err = s.run(proc)
	}
	if err != nil {
		_ = proc.Close() // the sandbox is an orphan again, which ends in time
	}
	return err
}

// Sweep ends what dead runners left behind: it takes sessions whose agent has
// ended to their outcome and removes containers without a session. Sessions
// whose agent still works are left for Attach. It returns how many it ended.
func (r *Runner) Sweep(ctx context.Context) (int, error) {
	containers, err := r.Engine.List(ctx, r.Store.runner)
	if err != nil {
		return 0, err
	}
	running := make(map[string]bool)
	for _, c := range containers {
		running[c.ID] = c.Running
	}
	_, err = sandbox.Reap(ctx, r.Engine, r.Store.runner, r.owned)
	ids, lerr := r.Store.current()
	swept := 0
	for _, id := range ids {
		if sum, serr := r.Store.Summary(id); serr != nil || sum.State != Orphaned || running[id] {
			continue
		}
		s, aerr := r.Attach(ctx, id)
		if errors.Is(aerr, ErrBusy) || errors.Is(aerr, ErrFinished) {
			continue
		}
		if aerr != nil {
			err = errors.Join(err, aerr)
			continue
		}
		<-s.Done()
		swept++
	}
	return swept, errors.Join(err, lerr, r.Store.releaseEnded(), r.Store.sweep(), r.sweepHelpers(running))
}

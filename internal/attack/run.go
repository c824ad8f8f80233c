package attack

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/credential"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

const (
	// runMax bounds the whole attack.
	runMax = 3 * time.Minute
	// person is who the attacked sandboxes belong to when this program is root.
	person  = 1000
	lineMax = 64 << 10 // bytes of one result
)

// bombLimits are those of the sandbox for bombs; both sides go by them.
func bombLimits() sandbox.Limits {
	return sandbox.Limits{
		MemoryBytes: 256 << 20, CPUs: 0.5, Processes: 64, OpenFiles: 256, TmpBytes: 16 << 20, ShmBytes: 16 << 20,
	}
}

// Options says what to attack.
type Options struct {
	// Runner starts the sandboxes; its logins, resolver and dialler are replaced.
	Runner runner.Runner
	// Dir is where temporary directories that the engine can mount are made.
	Dir   string
	Image string
	// Program is this program's file: it attacks.
	Program string
	// Progress, if not nil, gets each result as it comes.
	Progress func(Result)
	// Weaken, if not nil, has the last word on each sandbox; see runner.Probe.
	Weaken func(*sandbox.Spec)
}

// lab is one attack.
type lab struct {
	Options
	bait    *bait
	base    string
	user    string
	results []Result
}

// Run attacks sandboxes from inside and returns what held. The error says why
// there could be no attack; it wraps sandbox.ErrUnavailable without an engine.
// Run takes less than a minute and leaves nothing behind.
func Run(ctx context.Context, o Options) (Report, error) {
	ctx, cancel := context.WithTimeout(ctx, runMax)
	defer cancel()
	b, err := newBait()
	if err != nil {
		return Report{}, err
	}
	defer b.close()
	l := &lab{Options: o, bait: b}
	if l.base, err = os.MkdirTemp(o.Dir, "selftest-"); err != nil {
		return Report{}, fmt.Errorf("lay out the attack: %w", err)
	}
	defer os.RemoveAll(l.base)
	err = l.login()
	if err == nil {
		err = l.copyProgram()
	}
	if err != nil {
		return Report{}, fmt.Errorf("lay out the attack: %w", err)
	}
	if err := l.attack(ctx); err != nil {
		return Report{}, err
	}
	return Report{Results: l.results, Remains: Remains()}, nil
}

// login makes a home with a login in it, the only one that the attack is given.
func (l *lab) login() error {
	home := filepath.Join(l.base, "person")
	if err := os.MkdirAll(filepath.Join(home, ".claude"), 0o700); err != nil {
		return err
	}
	data, err := json.Marshal(map[string]any{"claudeAiOauth": map[string]any{
		"accessToken": accessToken(), "refreshToken": refreshToken(),
		"expiresAt": time.Now().Add(time.Hour).UnixMilli(), "scopes": []string{"user:inference"},
	}})
	if err != nil {
		return err
	}
	l.Runner.Getenv, l.Runner.Home = func(string) string { return "" }, home
	l.Runner.Resolver, l.Runner.Dial, l.Runner.Upstream = l.bait, l.bait.dial, nil
	l.user = fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid())
	if os.Getuid() == 0 {
		l.user = fmt.Sprintf("%d:%d", person, person)
	}
	return os.WriteFile(filepath.Join(home, ".claude", ".credentials.json"), data, 0o600)
}

// copyProgram puts this program where sandboxes can have it mounted: one that runs in a
// container is on no disk that the engine knows.
func (l *lab) copyProgram() error {
	if runtime.GOOS != "linux" {
		return errors.New("this program attacks from inside a sandbox, which takes one for Linux")
	}
	self, err := os.Open(l.Program)
	if err != nil {
		return err
	}
	defer self.Close()
	c, err := os.OpenFile(filepath.Join(l.base, "program"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(c, self)
	return errors.Join(err, c.Close(), os.Chmod(c.Name(), 0o755)) // whatever our umask is
}

func (l *lab) attack(ctx context.Context) error {
	other, err := l.start(ctx, "neighbour", "", sandbox.Limits{})
	if err != nil {
		return err
	}
	defer other.Close()
	if err := other.wait(ready); err != nil {
		return fmt.Errorf("the neighbour: %w", err)
	}
	id := filepath.Base(other.Dir())
	if err := l.inside(ctx, "all", id, sandbox.Limits{}); err != nil {
		return err
	}
	if err := l.inside(ctx, "bombs", id, bombLimits()); err != nil {
		return err
	}
	for _, a := range acts() {
		if err := l.perform(ctx, a); err != nil {
			return err
		}
	}
	for _, r := range l.bait.verdicts() {
		l.add(r)
	}
	return nil
}

func (l *lab) add(r Result) {
	l.results = append(l.results, r)
	if l.Progress != nil {
		l.Progress(r)
	}
}

// start begins one part in a sandbox of its own.
func (l *lab) start(ctx context.Context, part, neighbour string, limits sandbox.Limits) (*stage, error) {
	workspace, err := os.MkdirTemp(l.base, "workspace-")
	if err == nil && os.Getuid() == 0 {
		err = os.Chown(workspace, person, person)
	}
	if err != nil {
		return nil, fmt.Errorf("lay out the attack: %w", err)
	}
	p, err := l.Runner.Probe(ctx, runner.Task{
		Title: "selftest --attack: " + part, Prompt: part, Kind: agent.Claude, Workspace: workspace, User: l.user,
		Image: l.Image, Allow: l.bait.rules(), Login: credential.ModeMount,
		Timeout: 2 * runMax, Orphan: time.Minute, Limits: limits,
	}, command(programPath, part, l.bait.target(neighbour)), func(s *sandbox.Spec) {
		s.Mounts = append(s.Mounts, sandbox.Mount{Source: filepath.Join(l.base, "program"), Target: programPath, ReadOnly: true})
		if l.Weaken != nil {
			l.Weaken(s)
		}
	})
	if err != nil {
		return nil, err
	}
	return &stage{Probe: p, bait: l.bait, workspace: workspace, out: bufio.NewReader(p.Process().Stdout())}, nil
}

// inside runs a list of attempts and takes in what they say. What they had
// announced and say nothing of has failed.
func (l *lab) inside(ctx context.Context, mode, neighbour string, limits sandbox.Limits) error {
	s, err := l.start(ctx, mode, neighbour, limits)
	if err != nil {
		return err
	}
	defer s.Close()
	stop := context.AfterFunc(ctx, func() { _ = s.Process().Kill(context.WithoutCancel(ctx)) })
	defer stop()
	var open []Result
	lines := bufio.NewScanner(s.Process().Stdout())
	lines.Buffer(nil, lineMax)
	for lines.Scan() {
		var r Result
		switch err := json.Unmarshal(lines.Bytes(), &r); {
		case err != nil:
			return fmt.Errorf("the attack said %.100q: %w", lines.Bytes(), err)
		case r.Happened == "":
			open = append(open, r)
		default:
			if len(open) > 0 && open[0].Name == r.Name {
				open = open[1:]
			}
			l.add(r)
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, r := range open {
		r.Happened = "no word of it"
		l.add(r)
	}
	if len(l.results) == 0 {
		tail, _ := io.ReadAll(io.LimitReader(s.Process().Stderr(), lineMax))
		return fmt.Errorf("the attack said nothing: %.300q", tail)
	}
	return nil
}

// perform lets an act play and judges it.
func (l *lab) perform(ctx context.Context, a act) error {
	ctx, cancel := context.WithTimeout(ctx, actMax)
	defer cancel()
	s, err := l.start(ctx, a.part, "", a.limits)
	if err != nil {
		return err
	}
	defer s.Close()
	r := Result{Name: a.name, Tried: a.tried, Held: true, Happened: a.held}
	if a.part != "flood" {
		err = s.wait(ready)
	}
	if err == nil && strings.HasPrefix(a.part, "plant-") {
		err = s.wait(placed)
	}
	if err == nil {
		err = a.judge(ctx, s)
	}
	if err != nil {
		r.Held, r.Happened = false, err.Error()
	}
	l.add(r)
	return nil
}

// wait reads the next line that the part says, which has to be want.
func (s *stage) wait(want string) error {
	type line struct {
		text string
		err  error
	}
	said := make(chan line, 1)
	go func() {
		text, err := s.out.ReadString('\n')
		said <- line{text, err}
	}()
	select {
	case l := <-said:
		if l.text != want {
			return fmt.Errorf("it could not play: %.200q, %v", l.text, l.err)
		}
		s.said = append(s.said, l.text...)
		return nil
	case <-time.After(actMax):
		return errors.New("it did not get ready")
	}
}

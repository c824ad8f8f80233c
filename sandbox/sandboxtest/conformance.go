// Package sandboxtest holds what tests need to run sandboxes: a probe program, a
// Fake engine that runs programs as goroutines, and the Conformance suite that
// the fake and the Docker engine both pass.
package sandboxtest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// Harness is one engine under test.
type Harness struct {
	Engine sandbox.Engine
	Image  string // holds the probe
	Probe  string // the probe's path in it
	User   string
}

// Conformance checks that an engine does what package sandbox documents. setup
// returns an engine for one test, which runs in parallel with others.
func Conformance(t *testing.T, setup func(*testing.T) Harness) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *bench)
	}{
		{"stdout and stderr are apart", testStreams},
		{"long multibyte lines are exact", testLongLines},
		{"environment and arguments arrive", testEnv},
		{"exit code", testExitCode},
		{"signal", testSignal},
		{"a stubborn process is killed", testKill},
		{"a missing program", testNotFound},
		{"a missing image is ErrNoImage", testNoImage},
		{"an invalid spec is refused", testInvalid},
		{"stdin lines arrive in order and once", testSend},
		{"stdin limits", testSendLimits},
		{"stdin of a closed stdout", testCloseStdout},
		{"adopt continues at any offset", testAdoptOffsets},
		{"adopt repeats no stdin", testAdoptStdin},
		{"adopt after the end", testAdoptEnded},
		{"adopt of nothing is ErrNotFound", testAdoptNothing},
		{"verify notices a change", testVerify},
		{"wait", testWait},
		{"remove is idempotent", testRemove},
		{"list and reap", testReap},
		{"proxy carries both ways and half-closes", testProxy},
		{"no proxy refuses", testNoProxy},
		{"a connection is held without a runner", testHeld},
		{"an orphan ends itself", testOrphan},
		{"a runner that is attached keeps it alive", testNoOrphan},
		{"stdout has a cap", testStdoutLimit},
		{"cancelled start leaves nothing", testCancelledStart},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
			t.Cleanup(cancel)
			b := &bench{Harness: setup(t), ctx: ctx, runner: "test-" + uuid.NewString()[:8]}
			t.Cleanup(func() { b.checkNothingLeft(t) })
			test.run(t, b)
		})
	}
}

// bench is one test's engine.
type bench struct {
	Harness
	ctx    context.Context
	runner string
}

// checkNothingLeft fails the test if it left a container, and removes it.
func (b *bench) checkNothingLeft(t *testing.T) {
	left, err := sandbox.Reap(context.Background(), b.Engine, b.runner, func(sandbox.Info) bool { return false })
	if err != nil {
		t.Error(err)
	}
	if len(left) > 0 && !t.Failed() {
		t.Errorf("containers left over: %v", left)
	}
}

func (b *bench) spec(t *testing.T, args ...string) sandbox.Spec {
	t.Helper()
	return sandbox.Spec{
		ID: uuid.NewString(), Runner: b.runner, Image: b.Image, Command: append([]string{b.Probe}, args...),
		Dir: "/", User: b.User, State: t.TempDir(), Env: []string{"PATH=/"},
		Limits: sandbox.Limits{MemoryBytes: 256 << 20, Processes: 128},
	}
}

func (b *bench) start(t *testing.T, spec sandbox.Spec) sandbox.Process {
	t.Helper()
	p, err := b.Engine.Start(b.ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (b *bench) adopt(t *testing.T, spec sandbox.Spec, offset int64) sandbox.Process {
	t.Helper()
	p, err := b.Engine.Adopt(b.ctx, spec, offset)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// run starts the probe, sends lines and the end of stdin, and returns stdout.
func (b *bench) run(t *testing.T, spec sandbox.Spec, lines ...string) ([]byte, sandbox.Result) {
	t.Helper()
	p := b.start(t, spec)
	for i, line := range lines {
		send(t, p, i+1, line)
	}
	if err := p.CloseStdin(uint64(len(lines) + 1)); err != nil && !errors.Is(err, sandbox.ErrEnded) {
		t.Error(err)
	}
	return b.finish(t, p)
}

// finish reads p to its end and removes it.
func (b *bench) finish(t *testing.T, p sandbox.Process) ([]byte, sandbox.Result) {
	t.Helper()
	out, err := io.ReadAll(p.Stdout())
	if err != nil {
		t.Errorf("stdout: %v", err)
	}
	r, err := p.Wait(b.ctx)
	if err != nil {
		t.Errorf("wait: %v", err)
	}
	if err := p.Remove(b.ctx); err != nil {
		t.Errorf("remove: %v", err)
	}
	return out, r
}

func send(t *testing.T, p sandbox.Process, n int, line string) {
	t.Helper()
	if err := p.Send(uint64(n), []byte(line)); err != nil {
		t.Error(err)
	}
}

func wantExit(t *testing.T, r sandbox.Result, cause sandbox.Cause, code int) {
	t.Helper()
	if r.Cause != cause || r.ExitCode != code {
		t.Errorf("ended by %q with code %d, want %q, %d", r.Cause, r.ExitCode, cause, code)
	}
}

// wantBytes compares without printing megabytes.
func wantBytes(t *testing.T, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	i := 0
	for i < min(len(got), len(want)) && got[i] == want[i] {
		i++
	}
	t.Errorf("got %d bytes, want %d; they differ from byte %d: %.80q, want %.80q", len(got), len(want), i, got[i:], want[i:])
}

// wantLine reads up to a newline.
func wantLine(t *testing.T, r *bufio.Reader, want string) {
	t.Helper()
	if got, err := r.ReadString('\n'); got != want+"\n" {
		t.Fatalf("read %q, %v; want %q", got, err, want)
	}
}

func testStreams(t *testing.T, b *bench) {
	p := b.start(t, b.spec(t, "streams"))
	stderr := make(chan []byte)
	go func() {
		all, _ := io.ReadAll(p.Stderr())
		stderr <- all
	}()
	out, r := b.finish(t, p)
	wantBytes(t, out, []byte("out 1\nüber 2\n"))
	wantBytes(t, <-stderr, []byte("err 1\nüber err 2\n"))
	wantExit(t, r, sandbox.Exited, 0)
}

func testLongLines(t *testing.T, b *bench) {
	for _, size := range []struct{ n, bytes int }{{20000, 60}, {100, 50_000}, {3, 5_000_000}} {
		out, _ := b.run(t, b.spec(t, "lines", fmt.Sprint(size.n), fmt.Sprint(size.bytes)))
		wantBytes(t, out, Lines(size.n, size.bytes))
	}
}

func testEnv(t *testing.T, b *bench) {
	spec := b.spec(t, "env", "--", "-x", "a b", "", "ü")
	spec.Env = append(spec.Env, "GREETING=hällo = wörld", "EMPTY=")
	out, _ := b.run(t, spec)
	for _, want := range []string{"GREETING=hällo = wörld\n", "EMPTY=\n", fmt.Sprintf("args %q\n", spec.Command[1:])} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is not in %q", want, out)
		}
	}
}

func testExitCode(t *testing.T, b *bench) {
	for _, code := range []int{0, 7, 127, 255} {
		_, r := b.run(t, b.spec(t, "exit", fmt.Sprint(code)))
		wantExit(t, r, sandbox.Exited, code)
	}
}

func testSignal(t *testing.T, b *bench) {
	p := b.start(t, b.spec(t, "hold"))
	r := bufio.NewReader(p.Stdout())
	wantLine(t, r, "ready")
	if err := p.Signal(b.ctx, syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	result, err := p.Wait(b.ctx)
	if err != nil {
		t.Fatal(err)
	}
	wantExit(t, result, sandbox.Exited, 128+15)
	if err := p.Signal(b.ctx, syscall.SIGTERM); !errors.Is(err, sandbox.ErrEnded) {
		t.Errorf("signal after the end: %v, want ErrEnded", err)
	}
	if err := p.Send(1, nil); !errors.Is(err, sandbox.ErrEnded) {
		t.Errorf("send after the end: %v, want ErrEnded", err)
	}
	if err := p.Kill(b.ctx); err != nil {
		t.Errorf("kill after the end: %v", err)
	}
	b.finish(t, p)
}

func testKill(t *testing.T, b *bench) {
	p := b.start(t, b.spec(t, "hold", "stubborn"))
	r := bufio.NewReader(p.Stdout())
	wantLine(t, r, "ready")
	if err := p.Signal(b.ctx, syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	wantLine(t, r, "ignored terminated")
	if err := p.Kill(b.ctx); err != nil {
		t.Error(err)
	}
	_, result := b.finish(t, p)
	wantExit(t, result, sandbox.Exited, 128+9)
}

func testNotFound(t *testing.T, b *bench) {
	spec := b.spec(t)
	spec.Command = []string{"no-such-program"}
	p := b.start(t, spec)
	stderr := make(chan []byte)
	go func() {
		all, _ := io.ReadAll(p.Stderr())
		stderr <- all
	}()
	_, r := b.finish(t, p)
	wantExit(t, r, sandbox.NotStarted, 127)
	if all := <-stderr; !strings.Contains(string(all), "no-such-program") {
		t.Errorf("stderr does not name the program: %q", all)
	}
}

func testNoImage(t *testing.T, b *bench) {
	spec := b.spec(t, "exit", "0")
	spec.Image = "ratchetai-no-such-image:1"
	if _, err := b.Engine.Start(b.ctx, spec); !errors.Is(err, sandbox.ErrNoImage) {
		t.Errorf("got %v, want ErrNoImage", err)
	}
}

func testInvalid(t *testing.T, b *bench) {
	if _, err := b.Engine.Start(b.ctx, sandbox.Spec{ID: "a/b", User: "me"}); err == nil {
		t.Error("an empty spec was started")
	} else if text := err.Error(); !strings.Contains(text, "a/b") || !strings.Contains(text, "no command") {
		t.Errorf("not every problem is in %q", text)
	}
}

func testSend(t *testing.T, b *bench) {
	p := b.start(t, b.spec(t, "cat"))
	r := bufio.NewReader(p.Stdout())
	for i := 1; i <= 100; i++ {
		line := strings.TrimSuffix(string(Line(i, 40*i)), "\n")
		send(t, p, i, line)
		if i%10 == 0 { // again, before and after it was confirmed
			send(t, p, i, "a duplicate")
			wantLineOf(t, r, i)
			send(t, p, i-9, "a late duplicate")
		} else {
			wantLineOf(t, r, i)
		}
	}
	if err := p.Send(102, []byte("gap")); err == nil {
		t.Error("line 102 was taken after line 100")
	}
	send(t, p, 101, "")
	wantLine(t, r, "")
	if err := p.CloseStdin(102); err != nil {
		t.Error(err)
	}
	rest, err := io.ReadAll(r)
	if err != nil || len(rest) > 0 {
		t.Errorf("after the end of stdin came %q, %v", rest, err)
	}
	_, result := b.finish(t, p)
	wantExit(t, result, sandbox.Exited, 0)
}

func wantLineOf(t *testing.T, r *bufio.Reader, i int) {
	t.Helper()
	wantLine(t, r, strings.TrimSuffix(string(Line(i, 40*i)), "\n"))
}

func testSendLimits(t *testing.T, b *bench) {
	p := b.start(t, b.spec(t, "cat"))
	if err := p.Send(1, []byte("a\nb")); err == nil {
		t.Error("a line with a newline was taken")
	}
	if err := p.Send(1, make([]byte, 10<<20+1)); err == nil {
		t.Error("a line above 10 MB was taken")
	}
	long := bytes.Repeat([]byte("x"), 10<<20)
	if err := p.Send(1, long); err != nil {
		t.Error(err)
	}
	if err := p.CloseStdin(2); err != nil {
		t.Error(err)
	}
	out, _ := b.finish(t, p)
	wantBytes(t, out, append(long, '\n'))

	p = b.start(t, b.spec(t, "hold")) // does not read
	n := uint64(1)
	for ; n < 20 && p.Send(n, long) == nil; n++ {
	}
	if n == 20 {
		t.Error("200 MB of stdin were taken for a process that does not read")
	}
	if err := p.Kill(b.ctx); err != nil {
		t.Error(err)
	}
	b.finish(t, p)
}

func testCloseStdout(t *testing.T, b *bench) {
	p := b.start(t, b.spec(t, "closestdout"))
	stderr := bufio.NewReader(p.Stderr())
	out := make(chan []byte)
	go func() {
		all, _ := io.ReadAll(p.Stdout())
		out <- all
	}()
	send(t, p, 1, "still alive")
	wantLine(t, stderr, "still alive")
	if err := p.CloseStdin(2); err != nil {
		t.Error(err)
	}
	if all := <-out; len(all) > 0 {
		t.Errorf("stdout has %q", all)
	}
	b.finish(t, p)
}

func testAdoptOffsets(t *testing.T, b *bench) {
	const n, size = 300, 700
	spec := b.spec(t, "slow", fmt.Sprint(n), fmt.Sprint(size), "3ms")
	want := Lines(n, size)
	p := b.start(t, spec)
	var got []byte
	for range 8 {
		part := make([]byte, 1+rand.IntN(len(want)/10))
		k, err := io.ReadAtLeast(p.Stdout(), part, len(part)/2)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		got = append(got, part[:k]...)
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		p = b.adopt(t, spec, int64(len(got)))
	}
	rest, r := b.finish(t, p)
	wantBytes(t, append(got, rest...), want)
	wantExit(t, r, sandbox.Exited, 0)
}

func testAdoptStdin(t *testing.T, b *bench) {
	const n = 60
	spec := b.spec(t, "cat")
	p := b.start(t, spec)
	var got, want []byte
	for i := 1; i <= n; i++ {
		want = append(want, Line(i, 100*i)...)
	}
	for i := 1; i <= n; i++ {
		send(t, p, i, strings.TrimSuffix(string(Line(i, 100*i)), "\n"))
		if i%10 != 0 {
			continue
		}
		part := make([]byte, 1+rand.IntN(500*i))
		k, err := p.Stdout().Read(part)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, part[:k]...)
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		p = b.adopt(t, spec, int64(len(got)))
		for k := 1; k <= i; k++ {
			send(t, p, k, strings.TrimSuffix(string(Line(k, 100*k)), "\n"))
		}
	}
	if err := p.CloseStdin(n + 1); err != nil {
		t.Error(err)
	}
	rest, _ := b.finish(t, p)
	wantBytes(t, append(got, rest...), want)
}

func testAdoptEnded(t *testing.T, b *bench) {
	spec := b.spec(t, "lines", "1000", "100")
	p := b.start(t, spec)
	if _, err := p.Wait(b.ctx); err != nil {
		t.Error(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	p = b.adopt(t, spec, 12_345)
	out, r := b.finish(t, p)
	wantBytes(t, out, Lines(1000, 100)[12_345:])
	wantExit(t, r, sandbox.Exited, 0)
}

func testAdoptNothing(t *testing.T, b *bench) {
	if _, err := b.Engine.Adopt(b.ctx, b.spec(t, "cat"), 0); !errors.Is(err, sandbox.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

func testWait(t *testing.T, b *bench) {
	p := b.start(t, b.spec(t, "hold"))
	short, cancel := context.WithTimeout(b.ctx, 10*time.Millisecond)
	defer cancel()
	if _, err := p.Wait(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("wait with a deadline: %v", err)
	}
	if s, err := p.Stats(b.ctx); err != nil || s.Processes < 1 || s.MemoryBytes <= 0 {
		t.Errorf("stats %+v, %v", s, err)
	}
	if err := p.Kill(b.ctx); err != nil {
		t.Error(err)
	}
	first, err := p.Wait(b.ctx)
	if err != nil {
		t.Error(err)
	}
	b.finish(t, p)
	again, err := p.Wait(b.ctx)
	if d := cmp.Diff(first, again); d != "" || err != nil {
		t.Errorf("the second wait differs: %s, %v", d, err)
	}
}

func testRemove(t *testing.T, b *bench) {
	spec := b.spec(t, "hold")
	p := b.start(t, spec)
	for range 2 {
		if err := p.Remove(b.ctx); err != nil {
			t.Error(err)
		}
		if err := b.Engine.Remove(b.ctx, spec.ID); err != nil {
			t.Error(err)
		}
	}
	if _, err := b.Engine.Adopt(b.ctx, spec, 0); !errors.Is(err, sandbox.ErrNotFound) {
		t.Errorf("adopt after remove: %v", err)
	}
	if _, err := io.ReadAll(p.Stdout()); err != nil {
		t.Errorf("stdout after remove: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

func testReap(t *testing.T, b *bench) {
	var specs []sandbox.Spec
	for range 3 {
		specs = append(specs, b.spec(t, "hold"))
		defer b.start(t, specs[len(specs)-1]).Close()
	}
	keep := specs[0].ID
	owned := func(i sandbox.Info) bool { return i.ID == keep }
	reaped, err := sandbox.Reap(b.ctx, b.Engine, b.runner, owned)
	if err != nil || len(reaped) != 2 {
		t.Errorf("reaped %v, %v; want two", reaped, err)
	}
	left, err := b.Engine.List(b.ctx, b.runner)
	if err != nil || len(left) != 1 || left[0].ID != keep || !left[0].Running || left[0].Runner != b.runner {
		t.Errorf("left are %+v, %v", left, err)
	}
	if time.Since(left[0].Created) > time.Minute {
		t.Errorf("created at %v", left[0].Created)
	}
	if other, err := b.Engine.List(b.ctx, "another runner"); err != nil || len(other) != 0 {
		t.Errorf("another runner has %v, %v", other, err)
	}
	if err := b.Engine.Remove(b.ctx, keep); err != nil {
		t.Error(err)
	}
}

// upper answers what it has read, in capitals, when it has read all of it.
func upper(c net.Conn) {
	defer c.Close()
	all, err := io.ReadAll(c)
	if err == nil {
		_, _ = c.Write(bytes.ToUpper(all))
	}
}

func testProxy(t *testing.T, b *bench) {
	spec := b.spec(t, "dial")
	spec.Proxy = upper
	out, r := b.run(t, spec, "first", "second")
	wantBytes(t, out, []byte("FIRST\nSECOND\n"))
	wantExit(t, r, sandbox.Exited, 0)

	spec = b.spec(t, "dial") // now the proxy speaks first and closes first
	got := make(chan []byte, 1)
	spec.Proxy = func(c net.Conn) {
		defer c.Close()
		_, _ = c.Write(Lines(1000, 1000))
		_ = c.(interface{ CloseWrite() error }).CloseWrite()
		all, _ := io.ReadAll(c)
		got <- all
	}
	out, _ = b.run(t, spec, "after the other side closed")
	wantBytes(t, out, Lines(1000, 1000))
	wantBytes(t, <-got, []byte("after the other side closed\n"))
}

func testNoProxy(t *testing.T, b *bench) {
	out, _ := b.run(t, b.spec(t, "dial"))
	wantBytes(t, out, nil)
}

func testHeld(t *testing.T, b *bench) {
	var asked []string
	for i := range 3 {
		asked = append(asked, fmt.Sprintf("hello %d", i))
	}
	spec := b.spec(t, "dial", "3")
	p := b.start(t, spec)
	if err := p.Close(); err != nil { // the probe may or may not have dialled yet
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond)
	spec.Proxy = func(c net.Conn) {
		defer c.Close()
		line, _ := bufio.NewReader(c).ReadString('\n')
		_, _ = io.WriteString(c, line)
	}
	out, r := b.finish(t, b.adopt(t, spec, 0))
	if r.ExitCode == 0 {
		wantBytes(t, out, []byte(strings.Join(asked, "\n")+"\n"))
	} else {
		t.Errorf("the probe failed: %q", out)
	}
}

func testOrphan(t *testing.T, b *bench) {
	spec := b.spec(t, "hold")
	spec.OrphanAfter = 300 * time.Millisecond
	p := b.start(t, spec)
	wantLine(t, bufio.NewReader(p.Stdout()), "ready")
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		all, err := b.Engine.List(b.ctx, b.runner)
		if err != nil {
			t.Fatal(err)
		}
		if len(all) == 1 && !all[0].Running {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the orphan still runs")
		}
	}
	_, r := b.finish(t, b.adopt(t, spec, 0))
	if r.Cause != sandbox.Orphaned {
		t.Errorf("ended by %q", r.Cause)
	}
}

func testNoOrphan(t *testing.T, b *bench) {
	spec := b.spec(t, "cat")
	spec.OrphanAfter = time.Second
	p := b.start(t, spec)
	time.Sleep(2 * time.Second)
	out := bufio.NewReader(p.Stdout())
	send(t, p, 1, "alive")
	wantLine(t, out, "alive")
	if err := p.CloseStdin(2); err != nil {
		t.Error(err)
	}
	_, r := b.finish(t, p)
	wantExit(t, r, sandbox.Exited, 0)
}

func testStdoutLimit(t *testing.T, b *bench) {
	for _, lines := range []string{"1100", "1500", "100000"} { // the first two end by themselves
		stdoutLimit(t, b, lines)
	}
	spec := b.spec(t, "lines", "1024", "1024")
	spec.Limits.StdoutBytes = 1 << 20
	out, r := b.run(t, spec)
	wantBytes(t, out, Lines(1024, 1024))
	wantExit(t, r, sandbox.Exited, 0)
}

func stdoutLimit(t *testing.T, b *bench, lines string) {
	t.Helper()
	spec := b.spec(t, "lines", lines, "1000")
	spec.Limits.StdoutBytes = 1 << 20
	out, r := b.run(t, spec)
	if r.Cause != sandbox.StdoutLimit {
		t.Errorf("ended by %q", r.Cause)
	}
	if len(out) < 1<<20 || len(out) > 4<<20 || !bytes.HasPrefix(Lines(10_000, 1000), out) {
		t.Errorf("read %d bytes of stdout, want 1 to 4 MiB of the right ones", len(out))
	}
}

func testCancelledStart(t *testing.T, b *bench) {
	for i := range 12 {
		ctx, cancel := context.WithCancel(b.ctx)
		stop := time.AfterFunc(time.Duration(i)*15*time.Millisecond, cancel)
		p, err := b.Engine.Start(ctx, b.spec(t, "hold"))
		stop.Stop()
		cancel()
		if err == nil {
			if err := p.Remove(b.ctx); err != nil {
				t.Error(err)
			}
		}
	}
	time.Sleep(300 * time.Millisecond) // for what a lost request might still do
	left, err := b.Engine.List(b.ctx, b.runner)
	if err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

func testVerify(t *testing.T, b *bench) {
	spec := b.spec(t, "lines", "100", "100")
	out, _ := b.run(t, spec)
	sum := Checksum(out)
	if err := sandbox.VerifyStdout(spec.State, int64(len(out)), sum); err != nil {
		t.Error(err)
	}
	f, err := os.OpenFile(filepath.Join(spec.State, "io", "stdout"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.WriteAt([]byte("X"), 50)
	f.Close()
	if err := sandbox.VerifyStdout(spec.State, int64(len(out)), sum); !errors.Is(err, sandbox.ErrStdoutChanged) {
		t.Errorf("a change is not noticed: %v", err)
	}
}

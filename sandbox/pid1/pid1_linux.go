package pid1

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// killGrace is what an orphaned agent gets between SIGTERM and SIGKILL.
const killGrace = 10 * time.Second

// forwarded are the signals that are meant for the agent. PID 1 never gets one
// that it has no handler for.
var forwarded = []os.Signal{
	syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2,
	syscall.SIGCONT, syscall.SIGTSTP, syscall.SIGWINCH, syscall.SIGALRM,
}

// Main runs `sandbox-init` with args and returns the exit code. `tunnel` and
// `connect` are its two helpers; anything else makes this process PID 1.
func Main(args []string) int {
	if len(args) > 0 {
		switch args[0] {
		case "tunnel":
			return report(tunnelHelper())
		case "connect":
			return report(connectHelper(ProxyAddr, args[1:], os.Stdin, os.Stdout))
		}
	}
	c, err := Parse(args)
	if err != nil {
		return report(err)
	}
	return Run(c)
}

func report(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "sandbox-init:", err)
	return ExitInit
}

// Run starts c.Command, serves it until it ends and returns the exit code of
// the container. It must be PID 1 of its namespace: it waits for every child
// and finally kills every process that is left.
func Run(c Config) int {
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(64 << 20)
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return report(fmt.Errorf("make undumpable: %w", err))
	}
	reserveThreads(8)

	stdin, agentIn, err := pipe()
	if err != nil {
		return report(err)
	}
	hub, err := newHub(stdinWriter(agentIn))
	if err != nil {
		return report(err)
	}
	// The file of stdout tells the runner that the socket is there, or never will be.
	out, err := newOutput(c.StdoutMax)
	if err != nil {
		return report(err)
	}
	signals := make(chan os.Signal, 64)
	signal.Notify(signals, forwarded...)

	agent, err := start(c.Command, stdin, out.agentEnd)
	if err != nil {
		fmt.Fprintln(os.Stderr, "sandbox-init:", err)
		return exitCodeOf(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go hub.serve(ctx)
	out.start()

	exited := make(chan int, 1)
	go reap(agent.Pid, exited)
	return supervise(c, agent, hub, out, signals, exited)
}

// supervise waits for the agent's end and returns the container's exit code.
func supervise(c Config, agent *os.Process, hub *hub, out *output, signals <-chan os.Signal, exited <-chan int) int {
	orphaned := time.NewTimer(c.OrphanAfter)
	var kill <-chan time.Time
	override := 0
	for {
		select {
		case code := <-exited:
			_ = syscall.Kill(-1, syscall.SIGKILL) // whatever the agent left behind
			out.drain()
			hub.flush()
			out.seal()
			select {
			case override = <-out.stop:
			default:
			}
			if override != 0 {
				return override
			}
			return code
		case s := <-signals:
			_ = agent.Signal(s)
		case <-hub.attached:
			orphaned.Stop()
			if !hub.hasRunner() {
				orphaned.Reset(c.OrphanAfter)
			}
		case <-orphaned.C:
			override = ExitOrphaned
			_ = agent.Signal(syscall.SIGTERM)
			kill = time.After(killGrace)
		case <-kill:
			_ = agent.Kill()
		case override = <-out.stop:
			_ = agent.Kill()
		}
	}
}

// start runs command with the given ends as its stdin and stdout, and with this
// process's stderr. The ends are closed here.
func start(command []string, stdin, stdout *os.File) (*os.Process, error) {
	defer stdin.Close()
	defer stdout.Close()
	path, err := exec.LookPath(command[0])
	if err != nil {
		return nil, err
	}
	p, err := startRestricted(path, command, &os.ProcAttr{
		Env:   os.Environ(),
		Files: []*os.File{stdin, stdout, os.Stderr},
		// A group of its own keeps terminal-style group signals away from PID 1.
		Sys: &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		return nil, err
	}
	// When memory runs out the agent's side has to go, not PID 1.
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", p.Pid), []byte("500"), 0)
	return p, nil
}

// startRestricted starts a process from a thread that has given up what the agent
// may not have, and that ends with it.
func startRestricted(path string, argv []string, attr *os.ProcAttr) (p *os.Process, err error) {
	done := make(chan struct{}) // closed when p and err are set
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread is of no other use
		if err = restrictSockets(); err == nil {
			p, err = os.StartProcess(path, argv, attr)
		}
	}()
	<-done
	return p, err
}

func exitCodeOf(err error) int {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, exec.ErrNotFound) {
		return ExitNotFound
	}
	if errors.Is(err, errRestrict) {
		return ExitInit
	}
	return ExitNotRun
}

// reap waits for every child that ends, the agent's orphans included, and sends
// the agent's exit code once. It ends when no child is left.
func reap(agent int, exited chan<- int) {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return
		case pid == agent && status.Signaled():
			exited <- 128 + int(status.Signal())
		case pid == agent:
			exited <- status.ExitStatus()
		}
	}
}

// reserveThreads makes the runtime create n threads now. A fork bomb exhausts
// the sandbox's process limit, and a runtime that then needs one more thread
// would bring PID 1 down. Idle threads are kept for reuse.
func reserveThreads(n int) {
	var locked, released sync.WaitGroup
	enough := make(chan struct{})
	locked.Add(n)
	for range n {
		released.Go(func() {
			runtime.LockOSThread() // each of them at once has to have its own
			locked.Done()
			<-enough
			runtime.UnlockOSThread()
		})
	}
	locked.Wait()
	close(enough)
	released.Wait()
}

// pipe returns both ends of a pipe whose far end suits a child process: blocking
// there, pollable here.
func pipe() (read, write *os.File, err error) {
	read, write, err = os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("make pipe: %w", err)
	}
	return read, write, nil
}

// Package pid1 is PID 1 of every sandbox: cmd/sandbox-init.
//
// It starts the agent and stands between it and a runner that may vanish at any
// moment:
//
//	agent stdout -> pipe -> file (State) -> runner
//	a byte for "the file has grown" -> container stdout -> engine -> runner
//	runner -> tunnel -> numbered lines -> agent stdin
//	agent -> 127.0.0.1:3128 -> tunnel -> runner's egress proxy
//
// The agent writes into a pipe that is emptied into the file at disk speed, so
// neither a slow nor a dead runner ever blocks it. The runner made the file, has
// it open, and reads it at its own pace.
//
// The tunnel is one byte stream, multiplexed with yamux: a runner that sees the
// state directory connects to a socket there, any other execs a helper in the
// container (`sandbox-init tunnel`), which hands its stdin and stdout over. When it
// breaks, a new runner opens another; connections that the agent opens meanwhile
// are held. A sandbox that stays without a tunnel ends the agent.
//
// Besides that it does what PID 1 must: it reaps orphans, forwards signals, and
// exits with the agent's exit code. It has no more rights than the agent, but it is
// not dumpable, so that the agent cannot reach into it.
package pid1

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/yamux"
)

// What both sides must agree on.
const (
	// StateDir is where the sandbox mounts the session's own directory.
	StateDir = "/run/ratchetai"
	// StdoutFile, in StateDir, holds every byte that the agent wrote to stdout. The
	// runner has made it as NewStdoutFile; PID 1 gives it its name.
	StdoutFile    = "stdout"
	NewStdoutFile = "stdout.new"
	// SealedMode is the file's when PID 1 is about to end: nobody listens any more.
	SealedMode = 0o400
	// SocketFile is where a runner on the same machine connects. PID 1 then says what
	// it found in KeyFile, of KeyBytes, and removed before the agent started: nobody
	// else in the sandbox knows it.
	SocketFile = "tunnel"
	KeyFile    = "tunnel.key"
	KeyBytes   = 32
	// ProxyAddr is where the agent finds its egress proxy.
	ProxyAddr = "127.0.0.1:3128"
	// LineMax bounds one line of stdin, in bytes.
	LineMax = 10 << 20
	// connMax bounds the connections that the agent may have open.
	connMax = 512
)

// Exit codes of PID 1 that are not the agent's. They are above 128+64, so that
// no signal maps to them; an agent that exits with one of them is misread, which
// harms only its own report.
const (
	ExitStdoutLimit = 200 // stdout outgrew its cap and the agent was killed
	ExitOrphaned    = 201 // no runner came back in time
	ExitInit        = 202 // PID 1 itself could not work
	ExitNotFound    = 203 // the agent's program does not exist; a shell's 127
	ExitNotRun      = 204 // it exists and cannot be executed; a shell's 126
)

// Config is the command line of PID 1.
type Config struct {
	StdoutMax   int64         // bytes; the agent is killed above
	OrphanAfter time.Duration // without a tunnel for so long, the agent is ended
	Command     []string
}

// Args returns the command line that Parse reads, without the program's name.
func (c Config) Args() []string {
	return append([]string{
		"-stdout-max", fmt.Sprint(c.StdoutMax),
		"-orphan-after", c.OrphanAfter.String(),
		"--",
	}, c.Command...)
}

// Parse reads the arguments after `sandbox-init`.
func Parse(args []string) (Config, error) {
	var c Config
	fs := flag.NewFlagSet("sandbox-init", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Int64Var(&c.StdoutMax, "stdout-max", 1<<30, "")
	fs.DurationVar(&c.OrphanAfter, "orphan-after", 10*time.Minute, "")
	if err := fs.Parse(args); err != nil {
		return c, err
	}
	c.Command = fs.Args()
	if len(c.Command) == 0 {
		return c, errors.New("no command")
	}
	return c, nil
}

// MuxConfig is the yamux configuration of both ends. Keep-alives find a runner
// whose machine went away without closing anything.
func MuxConfig() *yamux.Config {
	c := yamux.DefaultConfig()
	c.MaxStreamWindowSize = 1 << 20
	c.AcceptBacklog = connMax
	c.KeepAliveInterval = 10 * time.Second
	c.ConnectionWriteTimeout = 30 * time.Second
	c.LogOutput = io.Discard
	return c
}

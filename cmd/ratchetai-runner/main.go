// Command ratchetai-runner runs AI coding agents unattended, each session in a
// container of its own on this machine.
//
//	run          run one session now and follow it
//	attach       take over a session whose runner is gone, or watch one
//	connect      run the sessions of a control plane on this machine
//	sessions     list, show and remove sessions: ls, show, rm
//	logs         print what happened in a session
//	login        log in with a vendor, for sessions only
//	logins       list and remove the logins that sessions can use: ls, rm
//	images       build, list and remove the images that sandboxes start from: build, ls, prune
//	decode       show what an agent printed that was run without this program
//	config       check and show the settings: check, show
//	up           run a control plane and a runner on this machine, with no set-up
//	serve        run the control plane
//	task         queue tasks at a control plane, and see what became of them
//	send         tell a session's agent something; interrupt, answer: likewise
//	inbox        list what needs a person; dismiss
//	runner       list and remove a control plane's runners: ls, rm
//	device       make, list and revoke runners' tokens; token: people's
//	audit        show who did what at a control plane
//	doctor       say what on this machine keeps sessions from running well
//	selftest     attack a sandbox from inside
//	engine-proxy give a runner as much of the engine as sandboxes need
//	systemd      print a systemd unit
//	version      print versions
//	completion   print a completion script for a shell
//
// What an agent says and does goes to stdout, as text or with --json as one event
// per line; what the runner itself has to say goes to stderr.
//
// The exit code of run and attach says how the session ended; of every command,
// whether it could do its work:
//
//	0    succeeded
//	1    the agent failed, printed nothing for too long, or ended without a result
//	2    wrong use: a flag, an argument, a workspace
//	3    infrastructure: no engine, no login, no image, no disk
//	4    cancelled
//	5    the budget is used up
//	6    the subscription's usage limit is reached
//	124  the session's deadline passed
//
// Hidden are sandbox-attack, which runs inside a sandbox: the self-test's attacker
// (package attack), man, which writes the manual pages, and health, for containers.
package main

import (
	"context"
	"io"
	"log" //nolint:depguard // to silence it
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/sprawlto/ratchetai-runner/internal/attack"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/sandbox"
	"github.com/sprawlto/ratchetai-runner/sandbox/pid1"
)

func main() {
	// In an image that a build without cmd/sandbox-init made.
	if filepath.Base(os.Args[0]) == filepath.Base(sandbox.InitPath) {
		os.Exit(pid1.Main(os.Args[1:]))
	}
	if len(os.Args) > 1 && os.Args[1] == attack.Subcommand {
		os.Exit(attack.Main(os.Args[2:]))
	}
	log.SetOutput(io.Discard) // net/http prints there what any host sends that an agent may reach
	debug.SetGCPercent(runner.GCPercent)
	std := streams{In: os.Stdin, Out: &stdout{File: os.Stdout}, Err: os.Stderr}
	os.Exit(run(context.Background(), os.Args[1:], os.LookupEnv, std))
}

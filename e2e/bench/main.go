// Command bench measures what a session costs, side by side with the bare
// engine, and prints each figure beside its budget:
//
//	go run ./e2e/bench [flags] PROGRAM
//
// PROGRAM is the built ratchetai-runner. An image of sandbox-init, as `make build` left
// it, and of the probe (package probe), and nothing else, stands in for the agents'
// image; the sessions are the runner's own, with the Claude adapter.
//
//	bare: SDK ---------------------> engine -> probe
//	ours: runner -> sandbox (SDK) -> engine -> PID 1 -> probe
//
// The control plane is PROGRAM as a process of its own, so that its processor time and
// memory are not the load's, which is in this process and speaks the API:
//
//	made-up runners, daemons of package connect, people ---HTTP---> PROGRAM serve
//
// Machines differ and are busy, so that each budget that can be is a ratio or a
// difference, and both sides of it are measured in turn, several times, in the same
// run; the figures are medians. A miss is printed and fails nothing.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/runner"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	debug.SetGCPercent(runner.GCPercent) // as the program does
	if len(os.Args) > 1 && os.Args[1] == childCommand {
		os.Exit(report(runChild(ctx, os.Stdin, os.Stdout)))
	}
	if len(os.Args) > 1 && os.Args[1] == daemonCommand {
		os.Exit(report(runDaemon(ctx, os.Stdin, os.Stdout)))
	}
	os.Exit(report(run(ctx, os.Args[1:], os.Stdout, os.Stderr)))
}

func report(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "bench:", err)
	return 1
}

// part is something that is measured.
type part struct {
	name    string
	engine  bool // it needs one
	measure func(context.Context, *lab) ([]row, error)
}

// parts are measured in this order.
var parts = []part{
	{"start", true, measureStart},
	{"agents", true, measureAgents},
	{"protect", true, measureProtect},
	{"stream", true, measureStream},
	{"tunnel", true, measureTunnel},
	{"memory", true, measureMemory},
	{"many", true, measureMany},
	{"version", false, measureVersion},
	{"dispatch", false, measureDispatch},
	{"live", false, measureLive},
	{"ingest", false, measureIngest},
	{"fleet", false, measureFleet},
	{"runners", false, measureRunners},
	{"connect", true, measureConnect},
}

// choose returns the parts of a comma-separated list; all if it is empty.
func choose(only string) (chosen []part) {
	for _, p := range parts {
		if only == "" || slices.Contains(strings.Split(only, ","), p.name) {
			chosen = append(chosen, p)
		}
	}
	return chosen
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	asJSON := fs.Bool("json", false, "print JSON instead of a table")
	only := fs.String("only", "", "comma-separated `parts`: start, agents, protect, stream, tunnel, memory, many, version, dispatch, live, ingest, fleet, runners, connect")
	streamGB := fs.Float64("stream-gb", 5, "size of the stream over which memory has to stay flat")
	profile := fs.String("cpuprofile", "", "write a profile of this process to `file`")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() != 1 {
		return errors.New("usage: bench [flags] PROGRAM (see -h)")
	}
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	chosen := choose(*only)
	l, err := newLab(ctx, fs.Arg(0), slices.ContainsFunc(chosen, func(p part) bool { return p.engine }))
	if err != nil {
		return err
	}
	defer l.close()
	l.streamBytes = int64(*streamGB * 1e9)

	var all []row
	var errs []error
	for _, p := range chosen {
		if ctx.Err() != nil {
			break
		}
		began := time.Now()
		rows, err := p.measure(ctx, l)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.name, err))
		}
		fmt.Fprintf(stderr, "bench: %-8s %.0f s\n", p.name, time.Since(began).Seconds())
		for i := range rows {
			rows[i].Part = p.name
		}
		all = append(all, rows...)
	}
	if *asJSON {
		err = json.NewEncoder(stdout).Encode(all)
	} else {
		printMachine(stdout)
		err = printTable(stdout, all)
	}
	return errors.Join(append(errs, err, context.Cause(ctx))...)
}

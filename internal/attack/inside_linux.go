package attack

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// attemptMax bounds one attempt, which takes milliseconds if all is well.
const attemptMax = 8 * time.Second

// attempt is one way out that may not be one.
type attempt struct {
	name, tried string
	try         func(*inside) verdict
}

// verdict is what came of it.
type verdict struct {
	held     bool
	happened string
}

func held(format string, args ...any) verdict   { return verdict{true, fmt.Sprintf(format, args...)} }
func broken(format string, args ...any) verdict { return verdict{false, fmt.Sprintf(format, args...)} }

// denied holds if err is one of by, which the expected defence answers.
func denied(doing string, err error, by ...syscall.Errno) verdict {
	var errno syscall.Errno
	switch {
	case err == nil:
		return broken("%s worked", doing)
	case errors.As(err, &errno) && slices.Contains(by, errno):
		return held("%s: %s", doing, errno)
	}
	return broken("%s: not the expected answer: %v", doing, err)
}

// every is the first of all that did not hold, or the last one.
func every(all ...verdict) verdict {
	for _, v := range all {
		if !v.held {
			return v
		}
	}
	if len(all) == 0 {
		return broken("nothing was tried")
	}
	last := all[len(all)-1]
	if len(all) > 1 {
		last.happened = fmt.Sprintf("%d of %d blocked; %s", len(all), len(all), last.happened)
	}
	return last
}

// inside is what the attempts know.
type inside struct{ target }

func attempts() []attempt {
	return slices.Concat(controls(), network(), hosts(), addresses(), spellings(), requests(), fronting(),
		mounts(), kernel(), privileges(), processes(), files(), tunnels())
}

// Main runs `sandbox-attack MODE TARGET` inside a sandbox and returns the exit
// code. It says on stdout, as NDJSON, what it will try and then what came of it.
func Main(args []string) int {
	if len(args) != 2 {
		fmt.Fprintln(os.Stderr, Subcommand+": runs inside a sandbox only; see selftest --attack")
		return 2
	}
	var in inside
	if err := json.Unmarshal([]byte(args[1]), &in.target); err != nil {
		fmt.Fprintln(os.Stderr, Subcommand+":", err)
		return 2
	}
	switch args[0] {
	case "all":
		in.report(attempts())
	case "kernel": // all that needs no runner; for tests, by hand, in a container of any kind
		in.report(slices.Concat(mounts(), kernel(), privileges(), processes()))
	case "bombs":
		in.report(bombs())
	default:
		return in.play(args[0])
	}
	return 0
}

func (in *inside) report(list []attempt) {
	out := json.NewEncoder(os.Stdout)
	for _, a := range list {
		_ = out.Encode(Result{Name: a.name, Tried: a.tried})
	}
	for _, a := range list {
		v := in.run(a)
		_ = out.Encode(Result{Name: a.name, Tried: a.tried, Held: v.held, Happened: v.happened})
	}
}

// run bounds an attempt. Its thread is not used again: some attempts change it
// when they get through.
func (in *inside) run(a attempt) verdict {
	done := make(chan verdict, 1)
	go func() {
		runtime.LockOSThread()
		done <- a.try(in)
	}()
	select {
	case v := <-done:
		return v
	case <-time.After(attemptMax):
		return broken("no answer within %s", attemptMax)
	}
}

package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
)

// boundFlags are the flags that bound what a session may use.
type boundFlags struct {
	cost      dollars
	tokens    int64
	turns     int64
	silence   time.Duration
	memory    size
	cpus      float64
	processes int64
	output    size
}

func (f *boundFlags) add(flags *pflag.FlagSet) {
	flags.Var(&f.cost, "max-cost", "end the session when it has cost so many US dollars at the vendor's list prices, such as 2.50")
	flags.Int64Var(&f.tokens, "max-tokens", 0, "end the session when it has used so many tokens, cached ones included")
	flags.Int64Var(&f.turns, "max-turns", 0, "end the session after so many replies of the model")
	flags.DurationVar(&f.silence, "silence", runner.DefaultSilence, "end the session when the agent prints nothing for this time, 0 for never")
	flags.Var(&f.memory, "memory", "memory of the sandbox, such as 512MiB (default 4GiB)")
	flags.Float64Var(&f.cpus, "cpus", 0, "processors of the sandbox (default 2)")
	flags.Int64Var(&f.processes, "processes", 0, "processes of the sandbox, threads included (default 512)")
	flags.Var(&f.output, "max-output", "kill the agent when its events exceed this size (default 1GiB)")
}

// task sets the bounds of t, whose limits may already be those of an earlier
// session. 0 is a bound that nobody set, except of the silence, where it is never.
func (f *boundFlags) task(t *runner.Task) error {
	var problems []error
	t.Budget = runner.Budget{CostMicroUSD: int64(f.cost), Tokens: f.tokens, Turns: f.turns}
	if t.Silence = f.silence; f.silence == 0 {
		t.Silence = -1
	}
	for flag, v := range map[string]int64{"max-tokens": f.tokens, "max-turns": f.turns, "silence": int64(f.silence)} {
		if v < 0 {
			problems = append(problems, fmt.Errorf("--%s: less than 0", flag))
		}
	}
	limit := func(flag string, to *int64, v, least int64) {
		if v == 0 {
			return
		}
		if *to = v; v < least {
			problems = append(problems, fmt.Errorf("--%s: at least %d is needed", flag, least))
		}
	}
	limit("memory", &t.Limits.MemoryBytes, int64(f.memory), 64<<20)
	limit("processes", &t.Limits.Processes, f.processes, 32)
	limit("max-output", &t.Limits.StdoutBytes, int64(f.output), 1<<20)
	switch {
	case f.cpus >= 0.01 && f.cpus <= 4096:
		t.Limits.CPUs = f.cpus
	case f.cpus != 0:
		problems = append(problems, errors.New("--cpus: 0.01 to 4096 are possible"))
	}
	return errors.Join(append(problems, priceable(*t))...)
}

// priceable refuses a cost budget that could not be kept. A name without a number
// is the vendor's for whatever model is the newest, and known when the session
// starts.
func priceable(t runner.Task) error {
	if t.Budget.CostMicroUSD == 0 || agent.Priced(t.Model) || !strings.ContainsAny(t.Model, "0123456789") {
		return nil
	}
	return fmt.Errorf("--max-cost: no price of %s is known; name another model, or bound the session with --max-tokens", t.Model)
}

// dollars is an amount of money in millionths of a US dollar.
type dollars int64

var dollarsForm = regexp.MustCompile(`^\$?([0-9]{1,9})(?:\.([0-9]{1,6}))?$`)

// Set implements pflag.Value.
func (d *dollars) Set(s string) error {
	m := dollarsForm.FindStringSubmatch(s)
	if m == nil {
		return errors.New("not an amount such as 2.50")
	}
	whole, _ := strconv.ParseInt(m[1], 10, 64)
	part, _ := strconv.ParseInt((m[2] + "000000")[:6], 10, 64)
	*d = dollars(whole*1_000_000 + part)
	return nil
}

func (d *dollars) String() string {
	text := fmt.Sprintf("%d.%06d", *d/1_000_000, *d%1_000_000)
	return strings.TrimRight(strings.TrimRight(text, "0"), ".")
}

// Type implements pflag.Value.
func (d *dollars) Type() string { return "USD" }

// size is a number of bytes.
type size int64

var sizeForm = regexp.MustCompile(`^([0-9]{1,9})([KMGT]?)(?:I?B)?$`)

// Set implements pflag.Value. Units are powers of 1024, as containers' usually are.
func (z *size) Set(s string) error {
	m := sizeForm.FindStringSubmatch(strings.ToUpper(s))
	if m == nil {
		return errors.New("not a size such as 512MiB")
	}
	n, _ := strconv.ParseInt(m[1], 10, 64)
	shift := map[string]uint{"": 0, "K": 10, "M": 20, "G": 30, "T": 40}[m[2]]
	if n > 1<<50>>shift {
		return errors.New("too large")
	}
	*z = size(n << shift)
	return nil
}

func (z *size) String() string {
	n, unit := int64(*z), ""
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if n == 0 || n%1024 != 0 {
			break
		}
		n, unit = n/1024, next
	}
	return strconv.FormatInt(n, 10) + unit
}

// Type implements pflag.Value.
func (z *size) Type() string { return "SIZE" }

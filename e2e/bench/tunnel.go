package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/sprawlto/ratchetai-runner/e2e/bench/peer"
)

const (
	tunnelBytes  = 192 << 20
	tunnelBudget = 500 // MB/s
	firstBudget  = 2   // ms more than a direct connection
	laterBudget  = 0.5
)

// tunnelReport is what the probe prints.
type tunnelReport struct {
	Ready                    time.Duration
	DirectFirst, TunnelFirst []time.Duration
	DirectLater, TunnelLater []time.Duration
	DirectDown, TunnelDown   []float64
	DirectUp, TunnelUp       []float64
}

// measureTunnel compares connections from the sandbox to the runner with direct
// ones inside of it.
func measureTunnel(ctx context.Context, l *lab) ([]row, error) {
	spec, err := l.spec("tunnel", strconv.Itoa(tunnelBytes))
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(spec.State)
	spec.Proxy = peer.Serve
	p, err := l.engine.Start(ctx, spec)
	if err != nil {
		return nil, err
	}
	defer func() { _ = p.Remove(context.WithoutCancel(ctx)) }()
	stop := context.AfterFunc(ctx, func() { _ = p.Kill(context.WithoutCancel(ctx)) })
	defer stop()
	out, err := io.ReadAll(p.Stdout())
	if err != nil {
		return nil, err
	}
	var r tunnelReport
	if err := json.Unmarshal(out, &r); err != nil {
		trouble, _ := io.ReadAll(p.Stderr())
		return nil, fmt.Errorf("the probe printed %q and %q: %w", out, trouble, err)
	}
	compare := func(what string, direct, tunnel []time.Duration, budget float64) row {
		d, t := median(direct), median(tunnel)
		return row{What: what, Bare: msText(d), Ours: msText(t), Value: ms(t - d), Unit: "ms"}.atMost(budget)
	}
	rate := func(what string, direct, tunnel []float64) row {
		t := median(tunnel)
		return row{What: what, Bare: rateText(median(direct)), Ours: rateText(t), Value: mb(t), Unit: "MB/s"}.atLeast(tunnelBudget)
	}
	var engine meter // what the tunnel goes through
	if err := l.bare.run(ctx, &engine, "lines", strconv.Itoa(tunnelBytes/largeLine), strconv.Itoa(largeLine)); err != nil {
		return nil, err
	}
	up := median(r.TunnelUp)
	return []row{
		{What: "answers this long after the agent's start", Value: ms(r.Ready), Unit: "ms"},
		compare("first request of a connection", r.DirectFirst, r.TunnelFirst, firstBudget),
		compare("later request", r.DirectLater, r.TunnelLater, laterBudget),
		rate("down", r.DirectDown, r.TunnelDown),
		rate("up", r.DirectUp, r.TunnelUp),
		{What: "  against the engine's own stream", Bare: rateText(engine.rate()), Ours: rateText(up), Value: up / engine.rate(), Unit: "x"},
	}, nil
}

package connect

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/sprawlto/ratchetai-runner/internal/api"
)

const (
	// retryCap is the longest pause after an answer that says "later", or after none.
	retryCap = 30 * time.Second
	// dialCap is the longest pause while nobody listens at the address: to look costs
	// nothing there, and who waits for the control plane should not wait for this.
	dialCap = 1500 * time.Millisecond
)

// pauses are those between tries of one thing: random, ever longer, never the last.
type pauses struct{ b *backoff.ExponentialBackOff }

func newPauses() pauses {
	// A random share, from nothing to twice the interval.
	return pauses{&backoff.ExponentialBackOff{InitialInterval: 250 * time.Millisecond, RandomizationFactor: 1, Multiplier: 2, MaxInterval: retryCap / 2}}
}

// reset is called after a success.
func (p pauses) reset() { p.b.Reset() }

// after is the pause after err, of somebody who is told when the control plane is back.
func (p pauses) after(err error) time.Duration {
	next := p.b.NextBackOff()
	var refused *api.Error
	if errors.As(err, &refused) && refused.RetryAfterMS > 0 {
		asked := time.Duration(min(refused.RetryAfterMS, retryCap.Milliseconds())) * time.Millisecond
		return asked + rand.N(asked/4+1) // not all runners at once
	}
	return next
}

// soon is the pause after err, of somebody who has to find that out. While there is nobody, the
// pauses after other errors do not grow: what answers first, and badly, may be just starting.
func (p pauses) soon(err error) time.Duration {
	if unreachable(err) {
		p.reset()
		return dialCap/3 + rand.N(dialCap*2/3)
	}
	return p.after(err)
}

// unreachable reports that no connection came about.
func unreachable(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// refusal tells the answers apart that end something.
func refusal(err error) api.Code {
	var refused *api.Error
	if errors.As(err, &refused) {
		return refused.Code
	}
	return ""
}

// sleep waits for d, until ctx ends or something comes from wake, which may be nil.
func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-wake:
	case <-ctx.Done():
	}
}

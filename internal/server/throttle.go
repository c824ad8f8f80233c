package server

import (
	"net/netip"
	"sync"
	"time"
)

// throttle slows those down who guess passwords: after five failures an address waits,
// twice as long after each further one. Its zero value is ready for use.
type throttle struct {
	mu     sync.Mutex
	failed map[string]failures
}

type failures struct {
	count int
	last  time.Time
}

const (
	freeFailures  = 5
	longestWait   = time.Minute
	failureTime   = 15 * time.Minute // after which it is forgotten
	failuresMax   = 10_000
	shortestShift = time.Second
)

// network is what one party may have of addresses: one of IPv4, 2^64 of IPv6.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil || a.Is4() {
		return address
	}
	p, err := a.Prefix(64)
	if err != nil {
		return address
	}
	return p.String()
}

// wait is how long an address has to wait before it may try.
func (t *throttle) wait(address string, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.failed[address]
	if f.count < freeFailures {
		return 0
	}
	pause := min(longestWait, shortestShift<<min(f.count-freeFailures, 6))
	return max(0, pause-now.Sub(f.last))
}

// fail counts a failure.
func (t *throttle) fail(address string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed == nil {
		t.failed = map[string]failures{}
	}
	if len(t.failed) >= failuresMax {
		for a, f := range t.failed {
			if now.Sub(f.last) > failureTime || len(t.failed) >= failuresMax {
				delete(t.failed, a)
			}
		}
	}
	f := t.failed[address]
	if now.Sub(f.last) > failureTime {
		f.count = 0
	}
	t.failed[address] = failures{f.count + 1, now}
}

// succeed forgets an address's failures.
func (t *throttle) succeed(address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.failed, address)
}

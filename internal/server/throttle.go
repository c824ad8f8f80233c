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

// try returns how long an address has to wait before it may try; 0: now, and it has. A try
// is a failure until it succeeds, so that those that are checked at the same time count.
func (t *throttle) try(address string, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.failed[address]
	if now.Sub(f.last) > failureTime {
		f.count = 0
	}
	if f.count >= freeFailures {
		pause := min(longestWait, shortestShift<<min(f.count-freeFailures, 6))
		if left := pause - now.Sub(f.last); left > 0 {
			return left
		}
	}
	t.forget(now)
	t.failed[address] = failures{f.count + 1, now}
	return 0
}

// forget makes room for another address.
func (t *throttle) forget(now time.Time) {
	if t.failed == nil {
		t.failed = map[string]failures{}
	}
	if len(t.failed) < failuresMax {
		return
	}
	for a, f := range t.failed {
		if now.Sub(f.last) > failureTime || len(t.failed) >= failuresMax {
			delete(t.failed, a)
		}
	}
}

// succeed forgets an address's failures.
func (t *throttle) succeed(address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.failed, address)
}

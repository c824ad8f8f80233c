package server

import (
	"context"
	"sync"
)

// held are the requests that wait: polls and streams. Its zero value is ready for use.
type held struct {
	mu      sync.Mutex
	stopped error
	waiting map[*holder]struct{}
}

// holder is one request that waits.
type holder struct {
	token  string // id
	cancel context.CancelCauseFunc
}

// hold returns a context that ends, with the cause, when the token is revoked or the
// server stops. The caller calls release.
func (h *held) hold(ctx context.Context, token string) (held context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	one := &holder{token, cancel}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped != nil {
		cancel(h.stopped)
		return ctx, func() {}
	}
	if h.waiting == nil {
		h.waiting = map[*holder]struct{}{}
	}
	h.waiting[one] = struct{}{}
	return ctx, func() {
		h.mu.Lock()
		delete(h.waiting, one)
		h.mu.Unlock()
		cancel(nil)
	}
}

// end ends what a token holds.
func (h *held) end(token string, cause error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for one := range h.waiting {
		if one.token == token {
			one.cancel(cause)
		}
	}
}

// endAll ends everything that is held, and what would be.
func (h *held) endAll(cause error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = cause
	for one := range h.waiting {
		one.cancel(cause)
	}
}

// ended returns the cause of endAll, if that was called.
func (h *held) ended() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.stopped
}

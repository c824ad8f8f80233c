package server

import "sync"

// hub wakes readers of a session after a commit. It carries no events: readers read
// rows, each at its own pace, so that there is nothing to overflow. Its zero value is
// ready for use.
type hub struct {
	mu     sync.Mutex
	topics map[string]*topic
}

type topic struct {
	readers int
	changed chan struct{} // closed at the next wake
}

// join counts a reader of a session in, until leave is called.
func (h *hub) join(session string) (leave func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.topics == nil {
		h.topics = map[string]*topic{}
	}
	t := h.topics[session]
	if t == nil {
		t = &topic{changed: make(chan struct{})}
		h.topics[session] = t
	}
	t.readers++
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if t.readers--; t.readers == 0 {
			delete(h.topics, session)
		}
	}
}

// next returns a channel that is closed when the session changes after the call: a
// reader takes it before it reads rows, so that it misses nothing. It has joined.
func (h *hub) next(session string) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.topics[session].changed
}

// wake wakes the session's readers. It never blocks.
func (h *hub) wake(session string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.topics[session]; t != nil {
		close(t.changed)
		t.changed = make(chan struct{})
	}
}

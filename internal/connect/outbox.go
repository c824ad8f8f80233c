package connect

import (
	"context"
	"sync"

	"github.com/sprawlto/ratchetai-runner/internal/api"
)

// keptBuffer is how many bytes an empty outbox may hold on to.
const keptBuffer = 32 << 10

// outbox is what waits to be uploaded of one session: consecutive events as NDJSON, at most
// api.BatchTarget bytes, or one event. The reader of the journal puts, the sender takes.
type outbox struct {
	mu     sync.Mutex
	buf    []byte
	spare  []byte // of the batch before
	first  uint64
	last   uint64
	urgent bool          // somebody waits for one of them
	end    bool          // last is the session's end
	more   chan struct{} // capacity 1: there is something; from put
	room   chan struct{} // capacity 1: there is room; from take
}

func newOutbox() *outbox {
	return &outbox{more: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

// put adds event seq, when there is room. end says that none follows.
func (o *outbox) put(ctx context.Context, seq uint64, line []byte, urgent, end bool) error {
	for {
		o.mu.Lock()
		if len(o.buf) == 0 || len(o.buf)+len(line) <= api.BatchTarget {
			if len(o.buf) == 0 {
				o.first = seq
			}
			o.buf, o.last, o.urgent, o.end = append(o.buf, line...), seq, o.urgent || urgent, end
			o.mu.Unlock()
			signal(o.more)
			return nil
		}
		o.urgent = true // a whole batch
		o.mu.Unlock()
		signal(o.more)
		select {
		case <-o.room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// batch is consecutive events.
type batch struct {
	lines       []byte
	first, last uint64
	end         bool // the session's
}

// take returns all that waits; no lines if nothing does. The batch is its caller's until
// the next call.
func (o *outbox) take() batch {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := batch{o.buf, o.first, o.last, o.end}
	o.buf, o.spare, o.urgent = o.spare[:0], o.buf, false
	if cap(o.buf) > keptBuffer {
		o.buf = nil
	}
	if cap(o.spare) > keptBuffer {
		o.spare = nil
	}
	signal(o.room)
	return b
}

// waits reports whether something is there, and whether it should go at once.
func (o *outbox) waits() (some, urgent bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.buf) > 0, o.urgent
}

// signal sends to a channel of capacity 1, unless something is in it.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

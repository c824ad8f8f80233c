package server

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// Bounds of a stream.
const (
	pingEvery = 15 * time.Second
	pieceMax  = 256 << 10 // bytes after which what was read is sent before more is read
)

// stream sends the events of a session: those that are stored, then live ones, until
// the last. As server-sent events, or as NDJSON, which ends with what is stored unless
// follow=1.
func (s *Server) stream(c *call) error {
	f, err := readFollow(c)
	if err != nil {
		return err
	}
	session, err := s.store.Session(c.ctx(), c.r.PathValue("id"))
	if err != nil {
		return err
	}
	f.session = session.ID
	ctx, release, err := s.hold(c)
	if err != nil {
		return err
	}
	defer release()
	defer s.hub.join(f.session)()
	switch f.live = f.live && session.State.Open(); {
	case f.live:
		defer s.dispatch.Watch(f.session)()
	case f.sse && f.after >= session.LastSeq:
		c.w.WriteHeader(http.StatusNoContent) // else a browser asks again and again
		return nil
	}
	s.metrics.readers.Add(1)
	defer s.metrics.readers.Add(-1)
	s.follow(ctx, c, f)
	return nil
}

// following is one reader of a session's events.
type following struct {
	session string
	after   uint64 // the last event that the reader has
	raw     bool
	sse     bool
	live    bool // go on after what is stored
	ended   bool // the session's last event was sent
}

func readFollow(c *call) (*following, error) {
	q := c.r.URL.Query()
	f := &following{raw: q.Get("raw") == "1", sse: !strings.Contains(c.r.Header.Get("Accept"), "application/x-ndjson")}
	f.live = f.sse || q.Get("follow") == "1"
	var err error
	if f.after, err = c.number("after"); err != nil {
		return nil, err
	}
	if last := c.r.Header.Get("Last-Event-ID"); last != "" { // a browser that comes back
		if f.after, err = strconv.ParseUint(last, 10, 63); err != nil {
			return nil, invalid("Last-Event-ID is no number")
		}
	}
	return f, nil
}

// follow sends until there is nothing more to come, or ctx ends, or the reader is gone
// or too slow.
func (s *Server) follow(ctx context.Context, c *call, f *following) {
	h := c.w.Header()
	h.Set("Content-Type", "application/x-ndjson")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // or nginx holds it back
	if f.sse {
		h.Set("Content-Type", "text/event-stream")
	}
	if s.send(c, nil) != nil {
		return
	}
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	for {
		changed := s.hub.next(f.session)
		if err := s.sendStored(ctx, c, f); err != nil || f.ended || !f.live {
			s.bye(ctx, c, f, err)
			return
		}
		select {
		case <-changed:
		case <-ping.C:
			if !s.pingReader(c, f) {
				return
			}
		case <-ctx.Done():
			s.bye(ctx, c, f, nil)
			return
		}
	}
}

// pingReader keeps proxies from closing the stream, finds out that a reader is gone, and
// ends a stream whose token is no longer valid or whose session ended without a last event.
func (s *Server) pingReader(c *call, f *following) bool {
	secret, _ := credential(c.r)
	if _, err := s.lookup(c, secret); err != nil {
		return false
	}
	session, err := s.store.Session(c.ctx(), f.session)
	if err == nil && !session.State.Open() && session.LastSeq <= f.after {
		return false
	}
	if f.sse {
		return s.send(c, []byte(": ping\n\n")) == nil
	}
	return s.send(c, []byte("\n")) == nil
}

// bye tells a reader that the server ends the stream early when to come back.
func (s *Server) bye(ctx context.Context, c *call, f *following, err error) {
	if err != nil && ctx.Err() == nil {
		s.log.WithError(err).WithField("session", f.session).Warn("stream cut")
	}
	if f.sse && errors.Is(context.Cause(ctx), errStopping) {
		_ = s.send(c, []byte("retry: 1000\n\n"))
	}
}

// errPiece ends a read when enough was read.
var errPiece = errors.New("enough")

// pieces are buffers for what is sent next. A reader that waits holds none.
var pieces = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// sendStored sends the events after the last sent one, piece by piece: nothing of the
// store is held while a slow reader takes its time.
func (s *Server) sendStored(ctx context.Context, c *call, f *following) error {
	piece := pieces.Get().(*bytes.Buffer)
	defer func() {
		if piece.Cap() <= 2*pieceMax {
			pieces.Put(piece)
		}
	}()
	for {
		piece.Reset()
		err := s.store.Events(ctx, f.session, f.after, f.raw, 0, func(e *api.Event) error {
			f.write(piece, e)
			f.after = e.Seq
			f.ended = event.Type(e.Type) == event.TypeSessionFinished
			if piece.Len() >= pieceMax {
				return errPiece
			}
			return nil
		})
		if err != nil && !errors.Is(err, errPiece) {
			return err
		}
		if piece.Len() > 0 {
			if err := s.send(c, piece.Bytes()); err != nil {
				return err
			}
		}
		if err == nil {
			return nil
		}
	}
}

// send writes and flushes, in limited time.
func (s *Server) send(c *call, data []byte) error {
	rc := http.NewResponseController(c.w)
	if err := rc.SetWriteDeadline(time.Now().Add(s.writeTime)); err != nil {
		return err
	}
	if _, err := c.w.Write(data); err != nil {
		return err
	}
	return rc.Flush()
}

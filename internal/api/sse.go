package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

const (
	// sseLineMax bounds a line of a stream: the data of one event, which came in a batch.
	sseLineMax = BatchMax + 64<<10
	// sseSilence is how long a stream may say nothing: the control plane sends a
	// comment every 15 s.
	sseSilence = 45 * time.Second
	// ssePauseMin and ssePauseMax bound the pause before a broken stream is opened again.
	ssePauseMin = 200 * time.Millisecond
	ssePauseMax = 2 * time.Second
)

// ErrNoEnd says that the session is over, and its last event never came: its runner declined
// it, gave it back or was lost.
var ErrNoEnd = errors.New("the session ended without its last event")

// Follow says how a session's events are read.
type Follow struct {
	After uint64 // the number of the last event that is known already
	Raw   bool   // with the vendor's lines
	// Until is the number of the last event that is wanted; 0: the session's last.
	Until uint64
	// Broken is told why a stream broke, before it is opened again, but not once more
	// until events have come; it may be nil.
	Broken func(error)
	// Silent is told where the session stands, now and then while nothing happens; it
	// may be nil.
	Silent func(task.Session)
}

// Events follows a session, by its whole id, until its last event or ctx ends; then there
// is no error. Streams that break are opened again behind the last event, for ever.
// An error is the last thing it yields: an *Error, ErrNoEnd, or that of an answer that
// makes no sense.
func (c *Client) Events(ctx context.Context, session string, f Follow) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if !isName(session) {
			yield(Event{}, fmt.Errorf("%w: %q is no session", errNonsense, session))
			return
		}
		s := &stream{client: c, session: session, Follow: f, yield: yield}
		for failures := 0; ; {
			before := s.After
			err := s.once(ctx)
			if err == nil && !s.over {
				err = s.gone(ctx)
			}
			switch {
			case s.over || ctx.Err() != nil:
				return
			case err != nil && !Transient(err):
				yield(Event{}, err)
				return
			}
			if s.After > before {
				failures = 0
			}
			failures++
			if err != nil && f.Broken != nil && failures == 1 {
				f.Broken(err)
			}
			if !sleep(ctx, pause(failures)) {
				return
			}
		}
	}
}

// Transient reports an error that may be gone when the same is tried again: the
// network's, or that of a control plane that is busy, starting or stopping.
func Transient(err error) bool {
	var e *Error
	if errors.As(err, &e) {
		return e.Status >= 500 || e.Status == http.StatusTooManyRequests
	}
	return !errors.Is(err, ErrNoControlPlane) && !errors.Is(err, ErrPlain) && !errors.Is(err, ErrNoEnd) && !errors.Is(err, errNonsense)
}

// errSilent: a stream of which nothing comes.
var errSilent = errors.New("nothing was heard of it")

// errNonsense: a stream that is none.
var errNonsense = errors.New("the control plane's stream is damaged")

// pause is full jitter below a limit that doubles.
func pause(failures int) time.Duration {
	limit := min(ssePauseMin<<min(failures, 10), ssePauseMax)
	return ssePauseMin + rand.N(limit)
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// stream is one session's events over as many connections as it takes.
type stream struct {
	Follow
	client  *Client
	session string
	yield   func(Event, error) bool
	over    bool // the last event was yielded, or nobody wants more
}

// once reads one connection to its end. Without an error the control plane closed it.
func (s *stream) once(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	header := http.Header{"Accept": {"text/event-stream"}}
	if s.After > 0 {
		header.Set("Last-Event-ID", strconv.FormatUint(s.After, 10))
	}
	path := under("sessions", s.session, "events")
	if s.Raw {
		path += "?raw=1"
	}
	resp, err := s.client.Send(ctx, http.MethodGet, path, header, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNoContent { // there is no more, and will not be
		err := s.gone(ctx)
		s.over = err == nil
		return err
	}
	silence := time.AfterFunc(sseSilence, func() { cancel(errSilent) })
	defer silence.Stop()
	err = s.read(ctx, resp.Body, func() { silence.Reset(sseSilence) })
	if errors.Is(context.Cause(ctx), errSilent) {
		return fmt.Errorf("control plane: %w for %s", errSilent, sseSilence)
	}
	return err
}

// read takes messages out of body; alive is called with each line.
func (s *stream) read(ctx context.Context, body io.Reader, alive func()) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 0, 64<<10), sseLineMax)
	var data []byte
	for lines.Scan() {
		alive()
		line := lines.Bytes()
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch {
		case len(line) > 0 && line[0] == ':':
			if err := s.gone(ctx); err != nil {
				return err
			}
		case len(line) == 0 && len(data) > 0:
			if err := s.message(data); err != nil || s.over {
				return err
			}
			data = data[:0]
		case string(field) == "data" && len(data)+len(value) > sseLineMax:
			return fmt.Errorf("%w: a message is longer than %d MiB", errNonsense, sseLineMax>>20)
		case string(field) == "data":
			data = append(data, value...)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("%w: a line is longer than %d MiB", errNonsense, sseLineMax>>20)
	case err != nil:
		return fmt.Errorf("control plane: %w", err)
	}
	return nil
}

// message takes in one event. The stream may repeat what is known, and leaves nothing out.
func (s *stream) message(data []byte) error {
	var e Event
	switch err := json.Unmarshal(data, &e); {
	case err != nil:
		return fmt.Errorf("%w: %w", errNonsense, err)
	case !isName(e.Type):
		return fmt.Errorf("%w: event %d has no type", errNonsense, e.Seq)
	case e.Seq <= s.After:
		return nil
	case e.Seq != s.After+1:
		return fmt.Errorf("%w: event %d follows event %d", errNonsense, e.Seq, s.After)
	}
	s.After = e.Seq
	s.over = !s.yield(e, nil) || e.Type == string(event.TypeSessionFinished) || e.Seq == s.Until
	return nil
}

// isName reports whether s can stand in a line of JSON, or on a terminal, as it is.
func isName(s string) bool {
	return s != "" && len(s) < 256 && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-", r)
	})
}

// gone returns ErrNoEnd if nobody works at the session any more and all its events are known.
func (s *stream) gone(ctx context.Context) error {
	now, err := s.client.Session(ctx, s.session)
	if err == nil && s.Silent != nil {
		s.Silent(now)
	}
	if err == nil && !now.State.Open() && now.State != task.Ended && now.LastSeq <= s.After {
		return ErrNoEnd
	}
	return err
}

package modelapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// object is a JSON object of a vendor's wire format.
type object map[string]any

// stream writes server-sent events.
type stream struct {
	w   http.ResponseWriter
	r   *http.Request
	seq int
}

func openStream(w http.ResponseWriter, r *http.Request, header http.Header) *stream {
	for name, values := range header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(http.StatusOK)
	return &stream{w: w, r: r}
}

// send writes one event and flushes it. A client that went away is noticed by wait.
func (s *stream) send(kind string, event object) {
	event["type"] = kind
	data, err := json.Marshal(event)
	if err != nil {
		panic(fmt.Sprintf("modelapi: event %s: %v", kind, err)) // only an Input that JSON cannot hold
	}
	_, _ = fmt.Fprintf(s.w, "event: %s\ndata: %s\n\n", kind, data)
	if f, ok := s.w.(http.Flusher); ok {
		f.Flush()
	}
}

// text sends a turn's text piece by piece, with its pauses, silence and cut.
func (s *stream) text(turn Turn, delta func(string)) {
	if !turn.Cut && turn.Hang == 0 {
		s.pieces(turn, turn.Text, delta)
		return
	}
	halves := chunks(turn.Text, (len(turn.Text)+1)/2)
	for i, half := range halves {
		s.pieces(turn, half, delta)
		if i > 0 {
			continue
		}
		if turn.Cut {
			panic(http.ErrAbortHandler) // closes the connection without an end of the body
		}
		s.wait(turn.Hang)
	}
}

func (s *stream) pieces(turn Turn, text string, delta func(string)) {
	for _, piece := range chunks(text, turn.Chunk) {
		delta(piece)
		s.wait(turn.Pause)
	}
}

func (s *stream) wait(d time.Duration) { pause(s.r, d) }

// pause waits for d, and gives the request up when its client is gone or the
// server closes: a reply to nobody must not keep Close waiting.
func pause(r *http.Request, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
		panic(http.ErrAbortHandler)
	}
}

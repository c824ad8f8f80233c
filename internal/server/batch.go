package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"sync"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"

	"github.com/sprawlto/ratchetai-runner/internal/api"
)

// zstdMax bounds what a decompressor may hold for one upload. A frame that asks for a
// larger window is refused.
const zstdMax = 8 << 20

// eventBytes is about what an event needs in memory besides its text.
const eventBytes = 256

// decoders are decompressors that are not in use: a new one costs a megabyte.
type decoders struct{ pool sync.Pool }

func (d *decoders) get(r io.Reader) (*zstd.Decoder, error) {
	if z, ok := d.pool.Get().(*zstd.Decoder); ok {
		return z, z.Reset(r)
	}
	return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(zstdMax), zstd.WithDecoderMaxWindow(zstdMax))
}

func (d *decoders) put(z *zstd.Decoder) {
	_ = z.Reset(nil)
	d.pool.Put(z)
}

// readBatch reads the body of an upload, decompressed, of at most api.BatchMax bytes. What
// it returns, release gives back.
func (s *Server) readBatch(c *call) (data []byte, release func(), err error) {
	taken := 0
	release = func() { s.uploads.give(taken) }
	fail := func(err error) ([]byte, func(), error) { release(); return nil, nil, err }
	body := io.Reader(http.MaxBytesReader(c.w, c.r.Body, api.BatchMax))
	switch c.r.Header.Get("Content-Encoding") {
	case "", "identity":
	case "zstd":
		z, err := s.decoders.get(body)
		if err != nil {
			return fail(invalid("the body is no zstd"))
		}
		defer s.decoders.put(z)
		body = z
	default:
		return fail(invalid("Content-Encoding is neither zstd nor identity"))
	}
	buf := make([]byte, 0, firstBuffer(c.r))
	for {
		if len(buf) > api.BatchMax {
			return fail(&api.Error{Code: api.CodeTooLarge, Message: fmt.Sprintf("the batch has more than %d bytes, uncompressed", api.BatchMax), Hint: "split it"})
		}
		if len(buf) == cap(buf) {
			buf = append(make([]byte, 0, min(2*cap(buf), api.BatchMax+1)), buf...)
		}
		n, err := body.Read(buf[len(buf):cap(buf)])
		use := n + eventBytes*bytes.Count(buf[len(buf):len(buf)+n], []byte("\n"))
		buf = buf[:len(buf)+n]
		if !s.uploads.take(use) {
			return fail(&api.Error{Code: api.CodeTooMany, Message: "too many uploads at a time", RetryAfterMS: 1000})
		}
		taken += use
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			c.bodyRead()
			return buf, release, nil
		default:
			return fail(bodyError(err))
		}
	}
}

// firstBuffer is how many bytes to begin with. Most uploads are one event: what they say of
// their length is believed as far as that costs nothing.
func firstBuffer(r *http.Request) int64 {
	const most = 32 << 10
	if n := r.ContentLength; n >= 0 && n < most && r.Header.Get("Content-Encoding") == "" {
		return n + 1 // so that the end is seen without more room
	}
	return most
}

func bodyError(err error) error {
	var large *http.MaxBytesError
	var network net.Error
	if errors.As(err, &large) || errors.As(err, &network) {
		return err
	}
	return invalid("the body is damaged: " + err.Error())
}

// parseBatch takes events apart, which are of one session and numbered from first on.
func parseBatch(data []byte, session string, first uint64) ([]api.Event, error) {
	events := make([]api.Event, 0, bytes.Count(data, []byte("\n"))+1)
	for n := 1; len(data) > 0; n++ {
		var line []byte
		line, data, _ = bytes.Cut(data, []byte("\n"))
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var e api.Event
		if err := parseEvent(line, &e); err != nil {
			return nil, invalid(fmt.Sprintf("line %d %v", n, err))
		}
		want := first + uint64(len(events))
		switch {
		case e.Session != session:
			return nil, invalid(fmt.Sprintf("line %d is of another session", n))
		case e.Seq != want:
			return nil, invalid(fmt.Sprintf("line %d is event %d instead of %d", n, e.Seq, want))
		}
		events = append(events, e)
	}
	if len(events) == 0 {
		return nil, invalid("the batch is empty")
	}
	return events, nil
}

// parseEvent checks the envelope only: what a newer runner says is stored as it is.
func parseEvent(line []byte, e *api.Event) error {
	if !utf8.Valid(line) {
		return errors.New("is no UTF-8")
	}
	if err := json.Unmarshal(line, e); err != nil {
		return fmt.Errorf("is no event: %w", err)
	}
	switch {
	case e.Seq == 0 || e.Seq > math.MaxInt64:
		return errors.New("has no seq")
	case e.Type == "" || !plain(e.Type):
		return errors.New("has no type")
	case e.Time.IsZero():
		return errors.New("has no time")
	case e.RawRef != nil && !fileName(e.RawRef.Artifact):
		return errors.New("refers to an artifact without a name")
	}
	return nil
}

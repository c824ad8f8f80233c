package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"

	"github.com/klauspost/compress/zstd"
)

const (
	runnerPath = "/api/v1/runner/"
	// compressMin is the size in bytes from which a batch is worth compressing.
	compressMin = 2 << 10
	// pieceMin is the size in bytes of an artifact's piece that every proxy has to take.
	pieceMin = 64 << 10
)

// Sync reports s and returns what the control plane wants. It blocks for s.WaitMS, or
// until ctx ends.
func (c *Client) Sync(ctx context.Context, s Sync) (SyncAnswer, error) {
	var a SyncAnswer
	err := c.Do(ctx, http.MethodPost, runnerPath+"sync", s, &a)
	return a, err
}

// Announce tells of a session that this runner started by itself.
func (c *Client) Announce(ctx context.Context, a Announce) (Lease, error) {
	var l Lease
	err := c.Do(ctx, http.MethodPost, runnerPath+"sessions", a, &l)
	return l, err
}

// Upload sends a batch of events, NDJSON, of which the first has the number first. The
// batch is not kept.
func (c *Client) Upload(ctx context.Context, session string, lease int64, first uint64, batch []byte) (Acked, error) {
	h := leaseHeader(lease)
	h.Set("Content-Type", "application/x-ndjson")
	h.Set(HeaderFirst, strconv.FormatUint(first, 10))
	if len(batch) >= compressMin && !c.loopback() {
		packed, err := c.compress(batch)
		if err != nil {
			return Acked{}, fmt.Errorf("compress events: %w", err)
		}
		batch = packed
		h.Set("Content-Encoding", "zstd")
	}
	var a Acked
	err := c.exchange(ctx, http.MethodPost, sessionPath(session)+"/events", h, bytes.NewReader(batch), &a)
	return a, err
}

// PutArtifact stores an artifact of size bytes with that hash (SHA-256, hexadecimal);
// what an earlier call stored is not sent again. open returns the content from an
// offset on.
func (c *Client) PutArtifact(ctx context.Context, session string, lease int64, name string, size int64, sha256 string,
	open func(offset int64) (io.ReadCloser, error)) error {
	path := sessionPath(session) + "/artifacts/" + url.PathEscape(name)
	var have Artifact
	err := c.exchange(ctx, http.MethodGet, path, leaseHeader(lease), nil, &have)
	var refused *Error
	if errors.As(err, &refused) && refused.Code == CodeNotFound {
		err = nil
	}
	if err != nil || have.Complete && have.SHA256 == sha256 && have.Size == size {
		return err
	}
	if have.SHA256 != sha256 || have.Size != size || have.Received >= size {
		have.Received = 0
	}
	for piece := size; !have.Complete; {
		piece = min(piece, size-have.Received)
		next, err := c.putPiece(ctx, path, lease, sha256, have.Received, piece, size, open)
		if errors.As(err, &refused) && refused.Code == CodeTooLarge && piece > pieceMin {
			piece /= 2 // a proxy takes no larger bodies
			continue
		}
		if err == nil && next.Received <= have.Received {
			err = fmt.Errorf("artifact %s: %d of %d bytes arrived", name, next.Received, size)
		}
		if err != nil {
			return err
		}
		have = next
	}
	return nil
}

// putPiece sends piece bytes of an artifact of size bytes, from an offset on.
func (c *Client) putPiece(ctx context.Context, path string, lease int64, sha256 string, from, piece, size int64,
	open func(offset int64) (io.ReadCloser, error)) (have Artifact, err error) {
	body, err := open(from)
	if err != nil {
		return have, err
	}
	defer body.Close()
	h := leaseHeader(lease)
	h.Set("Content-Type", "application/octet-stream")
	h.Set(HeaderSHA256, sha256)
	h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, from+piece-1, size))
	err = c.exchange(ctx, http.MethodPut, path, h, sized{io.LimitReader(body, piece), piece}, &have)
	return have, err
}

// compress uses an encoder of the client's, which are large and seldom needed: the
// collector takes them.
func (c *Client) compress(b []byte) ([]byte, error) {
	e, _ := c.encoders.Get().(*zstd.Encoder)
	if e == nil {
		var err error
		e, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(256<<10), zstd.WithLowerEncoderMem(true))
		if err != nil {
			return nil, err
		}
	}
	defer c.encoders.Put(e)
	return e.EncodeAll(b, make([]byte, 0, len(b)/4)), nil
}

// exchange is Do with a body that is no JSON.
func (c *Client) exchange(ctx context.Context, method, path string, h http.Header, body io.Reader, out any) error {
	resp, err := c.Send(ctx, method, path, h, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, answerMax)).Decode(out); err != nil {
		return fmt.Errorf("%s %s: the answer is cut or no JSON: %w", method, path, err)
	}
	return nil
}

func sessionPath(id string) string { return runnerPath + "sessions/" + url.PathEscape(id) }

func leaseHeader(token int64) http.Header {
	h := http.Header{}
	h.Set(HeaderLease, strconv.FormatInt(token, 10))
	return h
}

// loopback reports that nothing between here and the control plane is slow.
func (c *Client) loopback() bool {
	host := c.base.Hostname()
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

package server

import (
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/store"
)

// slowest is the rate below which an upload is cut, in bytes per second. It goes on
// later where it stopped.
const slowest = 16 << 10

// putArtifact takes a part of an artifact, or all of it.
func (s *Server) putArtifact(c *call) error {
	part, err := readPart(c.r)
	if err != nil {
		return err
	}
	lease, err := header(c, api.HeaderLease)
	if err != nil {
		return err
	}
	length := part.end - part.start
	_ = http.NewResponseController(c.w).SetReadDeadline(time.Now().Add(bodyTime + time.Duration(length/slowest)*time.Second))
	_ = http.NewResponseController(c.w).SetWriteDeadline(time.Now().Add(2*bodyTime + time.Duration(length/slowest)*time.Second))
	b := store.Batch{Session: c.r.PathValue("id"), Token: lease, Runner: c.by.Runner}
	body := http.MaxBytesReader(c.w, c.r.Body, length)
	state, err := s.store.PutArtifact(c.ctx(), b, part.name, part.size, part.sha256, part.start, body)
	if err != nil {
		return err
	}
	c.json(http.StatusOK, artifact(part.name, state))
	return nil
}

func artifact(name string, a store.ArtifactState) api.Artifact {
	return api.Artifact{Name: name, Size: a.Size, SHA256: a.SHA256, Received: a.Received, Complete: a.Complete}
}

// part is what one upload brings of an artifact: the bytes from start to before end.
type part struct {
	name, sha256     string
	start, end, size int64
}

func readPart(r *http.Request) (part, error) {
	p := part{name: r.PathValue("name"), sha256: strings.ToLower(r.Header.Get(api.HeaderSHA256))}
	sum, err := hex.DecodeString(p.sha256)
	switch {
	case !fileName(p.name):
		return p, invalid("an artifact's name has letters, digits, dots, dashes and underscores only, at most 200, and begins with none of the dots")
	case err != nil || len(sum) != 32:
		return p, invalid("the header " + api.HeaderSHA256 + " is missing or no SHA-256 in hexadecimal")
	}
	p.end, p.size = r.ContentLength, r.ContentLength
	switch text := r.Header.Get("Content-Range"); {
	case text == "" && r.ContentLength < 0:
		return p, invalid("the request has neither Content-Length nor Content-Range")
	case text != "":
		if p.start, p.end, p.size, err = parseRange(text); err != nil || r.ContentLength >= 0 && r.ContentLength != p.end-p.start {
			return p, invalid(fmt.Sprintf("Content-Range %q is not like bytes 1000-1999/5000, or not as long as the body", text))
		}
	}
	if p.size > api.ArtifactMax {
		return p, &api.Error{Code: api.CodeTooLarge, Message: fmt.Sprintf("an artifact has at most %d bytes", api.ArtifactMax)}
	}
	return p, nil
}

// parseRange reads "bytes FIRST-LAST/SIZE"; end is behind LAST.
func parseRange(text string) (start, end, size int64, err error) {
	bad := fmt.Errorf("no range: %q", text)
	rest, ok := strings.CutPrefix(text, "bytes ")
	span, total, ok2 := strings.Cut(rest, "/")
	from, to, ok3 := strings.Cut(span, "-")
	if !ok || !ok2 || !ok3 {
		return 0, 0, 0, bad
	}
	var n [3]uint64
	for i, t := range []string{from, to, total} {
		if n[i], err = strconv.ParseUint(t, 10, 62); err != nil {
			return 0, 0, 0, bad
		}
	}
	if n[0] > n[1] || n[1] >= n[2] {
		return 0, 0, 0, bad
	}
	return int64(n[0]), int64(n[1]) + 1, int64(n[2]), nil
}

// artifactState tells the runner from where to continue.
func (s *Server) artifactState(c *call) error {
	session, err := s.store.Session(c.ctx(), c.r.PathValue("id"))
	if err != nil {
		return err
	}
	if session.Runner != c.by.Runner {
		return fmt.Errorf("session %s of this runner: %w", session.ID, store.ErrNotFound)
	}
	name := c.r.PathValue("name")
	state, err := s.store.Artifact(c.ctx(), session.ID, name)
	if err != nil {
		return err
	}
	c.json(http.StatusOK, artifact(name, state))
	return nil
}

// getArtifact sends a complete artifact as a file: what is in it, an agent made.
func (s *Server) getArtifact(c *call) error {
	session, err := s.store.Session(c.ctx(), c.r.PathValue("id"))
	if err != nil {
		return err
	}
	name := c.r.PathValue("name")
	f, state, err := s.store.OpenArtifact(c.ctx(), session.ID, name)
	if err != nil {
		return err
	}
	defer f.Close()
	h := c.w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("Cache-Control", "private, no-cache")
	h.Set("Etag", `"`+state.SHA256+`"`)
	_ = http.NewResponseController(c.w).SetWriteDeadline(time.Now().Add(writeTime + time.Duration(state.Size/slowest)*time.Second))
	http.ServeContent(c.w, c.r, "", time.Time{}, io.ReadSeeker(f))
	return nil
}

package connect

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
)

// appendEvent appends e as one line of a batch. A raw line that is JSON in UTF-8 goes as it is, if
// it comes out of that as it was, any other as bytes, and ref is a long one's. A line that is not JSON would hold up all that
// follow, so that nothing is taken at its word here.
func appendEvent(dst []byte, session string, e journal.Entry, ref *api.RawRef) ([]byte, error) {
	raw := e.Raw
	if len(e.Data) > 0 && !json.Valid(e.Data) {
		e.Data, _ = json.Marshal(string(e.Data))
	}
	if e.RawJSON && utf8.Valid(raw) && json.Valid(raw) && survives(raw) {
		return append(e.AppendJSON(dst, session), '\n'), nil
	}
	e.Raw = nil
	dst = e.AppendJSON(dst, session)
	if len(raw) > 0 {
		dst = append(dst[:len(dst)-1], `,"raw_bytes":"`...)
		dst = append(base64.StdEncoding.AppendEncode(dst, raw), `"}`...)
	}
	if ref != nil {
		more, err := json.Marshal(ref)
		if err != nil {
			return nil, err
		}
		dst = append(dst[:len(dst)-1], `,"raw_ref":`...)
		dst = append(append(dst, more...), '}')
	}
	return append(dst, '\n'), nil
}

// survives reports whether a JSON line comes out of a line of JSON as it is: white space around
// a value is not a part of it, and a line break would end the line.
func survives(raw []byte) bool {
	return len(bytes.TrimSpace(raw)) == len(raw) && !bytes.ContainsAny(raw, "\r\n")
}

// cutEvent is the line of an event without its content.
func cutEvent(line []byte) ([]byte, error) {
	var e api.Event
	if err := json.Unmarshal(line, &e); err != nil {
		return nil, err
	}
	e.Data, e.Raw, e.RawBytes, e.RawRef = nil, nil, nil, nil
	cut, err := json.Marshal(e)
	return append(cut, '\n'), err
}

// rawRef names a long raw line as an artifact. It reads the line, a piece at a time.
func rawRef(dir string, e journal.Entry) (*api.RawRef, error) {
	r, err := journal.OpenFar(dir, e.Far, 0)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err == nil && n != e.Far.Bytes {
		err = errors.New("it is cut")
	}
	if err != nil {
		return nil, fmt.Errorf("read the line of event %d: %w", e.Seq, err)
	}
	return &api.RawRef{Artifact: fmt.Sprintf("raw-%d", e.Seq), Bytes: n, SHA256: hex.EncodeToString(h.Sum(nil)), JSON: e.RawJSON}, nil
}

package world

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"iter"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
)

// Stored is a session as the control plane has it.
type Stored struct {
	// Events yields all of them, with their raw lines.
	Events iter.Seq2[api.Event, error]
	// Artifact opens one; the caller closes it.
	Artifact func(name string) (io.ReadCloser, error)
}

// Compared is what [Compare] found.
type Compared struct {
	Events    int // that are the same on both sides
	Missing   int // at the end of the journal, that are not stored
	Artifacts int
	Lines     [][sha256.Size]byte // hashes of the vendor's lines, in order
	End       *event.SessionFinished
}

// Compare holds what is stored against the journal in dir, event by event: number, time,
// type, data and the vendor's line, byte for byte. The error says where they differ first.
// Events that are missing at the end of what is stored are counted.
func Compare(dir string, stored Stored) (Compared, error) {
	var c Compared
	next, stop := iter.Pull2(stored.Events)
	defer stop()
	for e, err := range journal.Read(dir, 1) {
		if err != nil {
			return c, fmt.Errorf("read the journal: %w", err)
		}
		if len(e.Raw) > 0 {
			c.Lines = append(c.Lines, sha256.Sum256(e.Raw))
		}
		if e.Type == string(event.TypeSessionFinished) {
			c.End = new(event.SessionFinished)
			if err := json.Unmarshal(e.Data, c.End); err != nil {
				return c, fmt.Errorf("event %d: %w", e.Seq, err)
			}
		}
		if c.Missing > 0 {
			c.Missing++
			continue
		}
		got, err, ok := next()
		switch {
		case err != nil:
			return c, fmt.Errorf("read event %d: %w", e.Seq, err)
		case !ok:
			c.Missing++
			continue
		}
		if err := c.same(e, got, stored.Artifact); err != nil {
			return c, fmt.Errorf("event %d (%s): %w", e.Seq, e.Type, err)
		}
		c.Events++
	}
	if got, err, ok := next(); ok && err == nil {
		return c, fmt.Errorf("event %d (%s) is stored and not in the journal", got.Seq, got.Type)
	} else if err != nil {
		return c, fmt.Errorf("read what follows event %d: %w", c.Events, err)
	}
	return c, nil
}

func (c *Compared) same(want journal.Entry, got api.Event, open func(string) (io.ReadCloser, error)) error {
	raw, err := c.raw(got, open)
	switch {
	case err != nil:
		return err
	case got.V != 1:
		return fmt.Errorf("stored with version %d", got.V)
	case got.Seq != want.Seq:
		return fmt.Errorf("event %d is stored in its place", got.Seq)
	case got.Type != want.Type:
		return fmt.Errorf("stored as %s", got.Type)
	case !got.Time.Equal(want.Time):
		return fmt.Errorf("its time is %s, stored %s", want.Time, got.Time)
	case !bytes.Equal(got.Data, want.Data):
		return fmt.Errorf("its data is %.300s, stored %.300s", want.Data, got.Data)
	case !bytes.Equal(raw, want.Raw):
		return fmt.Errorf("its line of %d bytes is %.300q, stored are %d bytes %.300q", len(want.Raw), want.Raw, len(raw), raw)
	case got.RawRef != nil && got.RawRef.JSON != want.RawJSON:
		return fmt.Errorf("its line is JSON: %t, stored %t", want.RawJSON, got.RawRef.JSON)
	}
	return nil
}

// raw is the vendor's line of an event, in whichever of the three forms it is stored.
func (c *Compared) raw(e api.Event, open func(string) (io.ReadCloser, error)) ([]byte, error) {
	switch {
	case e.Raw != nil:
		return e.Raw, nil
	case e.RawRef == nil:
		return e.RawBytes, nil
	}
	c.Artifacts++
	f, err := open(e.RawRef.Artifact)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	if int64(len(data)) != e.RawRef.Bytes || hex.EncodeToString(sum[:]) != e.RawRef.SHA256 {
		return nil, fmt.Errorf("artifact %s has %d bytes and another hash than the event says", e.RawRef.Artifact, len(data))
	}
	return data, nil
}

package connect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
)

// defaultUploadMS is how often events are sent before the control plane has said it.
const defaultUploadMS = 1000

// Ends of an upload.
var (
	errRewind = errors.New("the control plane has another number of events")
	errFenced = errors.New("the lease is lost: another attempt was made, or the control plane does not know this session")
	errTold   = errors.New("the control plane does not know this device any more")
)

// source is where a session's events come from.
type source interface {
	// events returns what there is from number from on: as it comes, if the session is driven
	// here; else up to what is on disk.
	events(ctx context.Context, from uint64) iter.Seq2[journal.Entry, error]
	// moved is sent to when that may have changed.
	moved() <-chan struct{}
}

// uploader brings one session's events to the control plane, in order, from its journal. It
// holds two batches at most. When the control plane is away, it waits.
type uploader struct {
	client  *api.Client
	session string
	token   int64
	dir     string // of the journal
	source  source
	wait    func() time.Duration // between the beginnings of two uploads
	stored  func(uint64)         // told what the control plane has
	answer  func(api.Acked)      // told of every answer
	trouble func(error)          // told of what is tried again
	kick    chan struct{}        // capacity 1: look again at once
}

// run returns nil when everything up to session.finished is stored, errFenced, errTold, or
// ctx's error. have is what the control plane has, at least.
func (u *uploader) run(ctx context.Context, have uint64) error {
	for {
		next, err := u.pass(ctx, have)
		if !errors.Is(err, errRewind) {
			return err
		}
		have = next
	}
}

// pass uploads from event have+1 on. With errRewind it returns what the control plane has.
func (u *uploader) pass(ctx context.Context, have uint64) (uint64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	box := newOutbox()
	read := make(chan struct{}) // closed when the reader has ended
	go func() {
		defer close(read)
		if err := u.read(ctx, box, have+1); err != nil {
			cancel(err)
		}
	}()
	defer func() { <-read }()
	defer cancel(nil)
	p := newPauses()
	var began time.Time
	for {
		if err := u.due(ctx, box, began); err != nil {
			return 0, err
		}
		began = time.Now()
		b := box.take()
		acked, err := u.send(ctx, b, p)
		switch {
		case err != nil:
			return acked, err
		case acked < b.last:
			return acked, errRewind
		}
		u.stored(acked)
		if b.end {
			return acked, nil
		}
	}
}

// due blocks until a batch should go.
func (u *uploader) due(ctx context.Context, box *outbox, began time.Time) error {
	for {
		some, urgent := box.waits()
		left := u.wait() - time.Since(began)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case some && (urgent || left <= 0):
			return nil
		case !some:
			select {
			case <-box.more:
			case <-ctx.Done():
			}
		default:
			t := time.NewTimer(left)
			select {
			case <-t.C:
			case <-box.more: // something urgent, perhaps
			case <-u.kick: // another cadence, perhaps
			case <-ctx.Done():
			}
			t.Stop()
		}
	}
}

// send uploads b however long that takes, and returns what the control plane has then.
func (u *uploader) send(ctx context.Context, b batch, p pauses) (uint64, error) {
	for {
		a, err := u.client.Upload(ctx, u.session, u.token, b.first, b.lines)
		if err == nil {
			p.reset()
			u.answer(a)
			return a.Acked, nil
		}
		var refused *api.Error
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		switch refusal(err) {
		case api.CodeGap:
			errors.As(err, &refused)
			if refused.Acked+1 == b.first { // what it lacks is what it was given
				break
			}
			return refused.Acked, errRewind
		case api.CodeFenced, api.CodeSuperseded:
			return 0, fmt.Errorf("%w (%w)", errFenced, err)
		case api.CodeUnauthorized, api.CodeForbidden:
			return 0, fmt.Errorf("%w (%w)", errTold, err)
		case api.CodeTooLarge:
			return u.split(ctx, b, p)
		}
		u.trouble(err)
		sleep(ctx, p.after(err), u.kick)
	}
}

// split sends b in two halves; of a single event that is too long, only that it happened.
func (u *uploader) split(ctx context.Context, b batch, p pauses) (uint64, error) {
	if b.first == b.last {
		u.trouble(fmt.Errorf("event %d of %d bytes is too large for what is between here and the control plane: its content stays here", b.first, len(b.lines)))
		line, err := cutEvent(b.lines)
		if err != nil {
			return 0, err
		}
		return u.send(ctx, batch{line, b.first, b.last, b.end}, p)
	}
	middle := b.first + (b.last-b.first)/2
	at := 0
	for n := b.first; n <= middle; n++ {
		at += bytes.IndexByte(b.lines[at:], '\n') + 1
	}
	acked, err := u.send(ctx, batch{b.lines[:at], b.first, middle, false}, p)
	if err != nil || acked < middle {
		return acked, err
	}
	return u.send(ctx, batch{b.lines[at:], middle + 1, b.last, b.end}, p)
}

// read puts the session's events from number from on into box, up to its end.
func (u *uploader) read(ctx context.Context, box *outbox, from uint64) error {
	var line []byte
	for {
		for e, err := range u.source.events(ctx, from) {
			if err != nil {
				u.trouble(err)
				break
			}
			ref, err := u.far(ctx, e)
			if err != nil {
				return err
			}
			if line, err = appendEvent(line[:0], u.session, e, ref); err != nil {
				return err
			}
			last := e.Type == string(event.TypeSessionFinished)
			err = box.put(ctx, e.Seq, line, last || e.Type == string(event.TypeAskOpened), last)
			if err != nil || last {
				return err
			}
			if cap(line) > keptBuffer {
				line = nil
			}
			from = e.Seq + 1
		}
		select {
		case <-u.source.moved():
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// far stores the raw line of e, if that is a long one.
func (u *uploader) far(ctx context.Context, e journal.Entry) (*api.RawRef, error) {
	if e.Far.Bytes == 0 {
		return nil, nil
	}
	if e.Far.Bytes > api.ArtifactMax {
		return nil, nil
	}
	open := func(from int64) (io.ReadCloser, error) { return journal.OpenFar(u.dir, e.Far, from) }
	var ref *api.RawRef
	for p := newPauses(); ; {
		var err error
		if ref == nil { // once, however often it is sent
			ref, err = rawRef(u.dir, e)
		}
		if err == nil {
			err = u.client.PutArtifact(ctx, u.session, u.token, ref.Artifact, ref.Bytes, ref.SHA256, open)
		}
		if err == nil {
			return ref, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		switch refusal(err) {
		case api.CodeFenced, api.CodeSuperseded:
			return nil, fmt.Errorf("%w (%w)", errFenced, err)
		case api.CodeUnauthorized, api.CodeForbidden:
			return nil, fmt.Errorf("%w (%w)", errTold, err)
		case api.CodeTooLarge, api.CodeInvalid:
			u.trouble(fmt.Errorf("the line of event %d stays here: %w", e.Seq, err))
			return nil, nil
		}
		u.trouble(err)
		sleep(ctx, p.soon(err), u.kick)
	}
}

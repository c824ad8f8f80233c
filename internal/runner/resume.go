package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
)

// ErrNoConversation says that the session has no conversation that could go on.
var ErrNoConversation = errors.New("no conversation to continue")

// Origin is an earlier session whose conversation can be continued.
type Origin struct {
	Record
	// Copied says that it is not a session of this store: nobody vouches for what
	// its record says.
	Copied       bool
	Conversation string // the vendor's id

	dir string
}

// Origin returns the session that arg names: the beginning or the end of the id of
// one in the store, or the path of a session's directory, which may come from
// another machine. It returns ErrBusy for a session that has not ended and
// ErrNoConversation for one whose agent had not begun.
func (s *Store) Origin(arg string) (*Origin, error) {
	o := &Origin{dir: arg}
	if _, err := os.Stat(filepath.Join(arg, recordFile)); err != nil || arg == "" {
		id, err := s.resolve(arg)
		if err != nil {
			return nil, err
		}
		o.dir = s.dir(id)
	}
	var err error
	if o.Record, err = loadRecord(o.dir); err != nil {
		return nil, err
	}
	if k := o.Agent.Kind; uuid.Validate(o.ID) != nil || k != agent.Claude && k != agent.Codex {
		return nil, fmt.Errorf("%s is no record of a session", filepath.Join(o.dir, recordFile))
	}
	o.Copied = !sameFile(o.dir, s.dir(o.ID))
	if !o.Copied {
		if sum, err := s.Summary(o.ID); err != nil {
			return nil, err
		} else if sum.State != Finished {
			return nil, fmt.Errorf("session %s is %s, and only a conversation whose session has ended can be continued: %w", o.ID, sum.State, ErrBusy)
		}
	}
	if o.Conversation, err = conversation(o.Record, o.dir); err != nil {
		return nil, err
	}
	return o, nil
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	y, berr := os.Stat(b)
	return err == nil && berr == nil && os.SameFile(x, y)
}

// conversation finds the id of r's conversation and makes sure that there is one.
// What an agent said its id is counts only if it is one: it becomes an argument.
func conversation(r Record, dir string) (string, error) {
	id := r.Agent.Conversation
	if r.Agent.Kind == agent.Codex { // it chooses the id itself
		id = ""
		for e, err := range journal.Read(dir, 1) {
			if err != nil || e.Type != string(event.TypeSessionStarted) {
				continue
			}
			if d, err := event.Decode(event.TypeSessionStarted, e.Data); err == nil {
				id = d.(event.SessionStarted).Conversation
			}
			break
		}
	}
	none := fmt.Errorf("session %s: %w: its agent had not begun", r.ID, ErrNoConversation)
	if len(id) != 36 || uuid.Validate(id) != nil {
		return "", none
	}
	home, err := os.OpenRoot(filepath.Join(dir, "home"))
	if err != nil {
		return "", fmt.Errorf("session %s: %w: %w", r.ID, ErrNoConversation, err)
	}
	defer home.Close()
	found := false
	err = fs.WalkDir(home.FS(), r.Agent.Kind.Transcripts(), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.Contains(d.Name(), id) {
			found = true
			return fs.SkipAll
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("session %s: read its transcripts: %w", r.ID, err)
	}
	if !found {
		return "", none
	}
	return id, nil
}

// continueIn makes rec a session that goes on with o's conversation; a nil o is
// none.
func (o *Origin) continueIn(rec *Record, fork bool) {
	if o == nil {
		return
	}
	rec.Continues = o.ID
	rec.Agent.Resume, rec.Agent.Fork = o.Conversation, fork
	if !fork {
		rec.Agent.Conversation = o.Conversation
	}
}

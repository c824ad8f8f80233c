package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/store/sql"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// Bounds of the inbox; the oldest items come first.
const (
	inboxMax      = 500     // of each kind
	inboxBytesMax = 4 << 20 // of asks; there is at least one
)

// outcomePrefix begins the ids of outcomes in the inbox; the task's id follows.
const outcomePrefix = "outcome-"

// Inbox returns the open asks of open sessions, and finished tasks without success that nobody has
// dismissed or cancelled, as inbox items, oldest first.
func (s *Store) Inbox(ctx context.Context) ([]api.InboxItem, error) {
	asks, err := s.openAsks(ctx)
	if err != nil {
		return nil, fmt.Errorf("inbox: %w", err)
	}
	ids, err := s.read.Outcomes(ctx, inboxMax)
	if err != nil {
		return nil, fmt.Errorf("inbox: %w", err)
	}
	tasks, _, err := s.tasks(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("inbox: %w", err)
	}
	items := asks
	for _, t := range tasks {
		if t.State != task.Finished {
			continue // queued again meanwhile
		}
		items = append(items, api.InboxItem{
			ID: outcomePrefix + t.ID, Kind: api.InboxOutcome, Since: *t.FinishedAt, Task: t.ID, Title: t.Name(),
			Session: t.Session, Text: line(cmp.Or(t.Reason, string(t.Outcome))), Outcome: t.Outcome,
		})
	}
	slices.SortStableFunc(items, func(a, b api.InboxItem) int { return a.Since.Compare(b.Since) })
	return items, nil
}

func (s *Store) openAsks(ctx context.Context) ([]api.InboxItem, error) {
	rows, err := s.read.OpenAsks(ctx, inboxMax)
	if err != nil {
		return nil, err
	}
	var items []api.InboxItem
	bytes := 0
	for _, r := range rows {
		ask, size, err := s.openAsk(ctx, r.ID, r.Ask)
		if errors.Is(err, ErrNotFound) {
			continue // answered meanwhile
		}
		if err != nil {
			return nil, err
		}
		t, err := s.task(ctx, r.Task)
		if err != nil {
			return nil, err
		}
		items = append(items, api.InboxItem{
			ID: "ask-" + r.ID + "-" + r.Ask, Kind: api.InboxAsk, Since: at(r.OpenedAt), Task: t.ID, Title: t.Name(),
			Session: r.ID, Text: line(askText(ask)), Ask: &ask,
		})
		if bytes += size; bytes > inboxBytesMax {
			break
		}
	}
	return items, nil
}

func askText(a event.AskOpened) string {
	if len(a.Questions) > 0 {
		return cmp.Or(a.Title, a.Questions[0].Text)
	}
	return cmp.Or(a.Title, a.Command, a.Tool, string(a.Kind))
}

// line is the first line of s that says something.
func line(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	if r := []rune(s); len(r) > 200 {
		s = string(r[:199]) + "…"
	}
	return s
}

// Dismiss removes an outcome from the inbox. ErrNotFound if item is none.
func (s *Store) Dismiss(ctx context.Context, item string) error {
	err := s.write(ctx, 0, func(ctx context.Context, q *sql.Queries) error {
		id, ok := strings.CutPrefix(item, outcomePrefix)
		if !ok {
			return ErrNotFound
		}
		n, err := q.Dismiss(ctx, id)
		if err == nil && n == 0 {
			err = ErrNotFound
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("inbox item %s: %w", item, err)
	}
	return nil
}

// OpenAsk returns an ask of a session that waits for an answer, or ErrNotFound.
func (s *Store) OpenAsk(ctx context.Context, session, ask string) (event.AskOpened, error) {
	a, _, err := s.openAsk(ctx, session, ask)
	return a, err
}

// openAsk also says how many bytes the ask has.
func (s *Store) openAsk(ctx context.Context, session, ask string) (a event.AskOpened, size int, err error) {
	data, err := s.read.Ask(ctx, session, ask)
	if err == nil {
		err = json.Unmarshal(data, &a)
	}
	if err != nil {
		return event.AskOpened{}, 0, fmt.Errorf("ask %s of session %s: %w", ask, session, understand(s.dir, err))
	}
	return a, len(data), nil
}

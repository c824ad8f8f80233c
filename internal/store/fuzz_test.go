package store

import (
	"testing"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// FuzzAppend stores events of any type with any data: the bytes come back as they were, and
// a session that said it was the last one has ended, its task with it.
func FuzzAppend(f *testing.F) {
	f.Add(string(event.TypeSessionFinished), []byte(`{"outcome":"succeeded","usage":{"input_tokens":1}}`), true)
	f.Add(string(event.TypeSessionFinished), []byte(`{"outcome":{}}`), false)
	f.Add(string(event.TypeAskOpened), []byte(`{"ask":"a","default":"deny","questions":[{}]}`), true)
	f.Add(string(event.TypeAskAnswered), []byte(`{"ask":"a"}`), false)
	f.Add(string(event.TypeUsageUpdated), []byte(`{"usage":{"cost_micro_usd":9223372036854775807}}`), false)
	f.Add(string(event.TypeTurnFinished), []byte(`{"usage":null}`), false)
	f.Add("thing.happened", []byte("\xff\x00"), false)
	s := open(f)
	f.Fuzz(func(t *testing.T, kind string, data []byte, twice bool) {
		h := offer(t, s, addTask(t, s, task.Spec{MaxAttempts: 1}).ID)
		events := []api.Event{{V: 1, Seq: 1, Type: kind, Data: data}}
		if twice {
			events = append(events, api.Event{V: 1, Seq: 2, Type: kind, Data: data})
		}
		a := appendEvents(t, s, h, events...)
		for _, e := range stored(t, s, h.Session) {
			if e.Type != kind || string(e.Data) != string(data) {
				t.Errorf("%q %q", e.Type, e.Data)
			}
		}
		last := kind == string(event.TypeSessionFinished)
		if got := getSession(t, s, h.Session); (got.State == task.Ended) != last || (a.Finished != nil) != last || last && got.Outcome == "" {
			t.Errorf("%+v", got)
		}
		if _, err := s.Inbox(t.Context()); err != nil {
			t.Error(err)
		}
		if _, _, err := s.Task(t.Context(), h.Task.ID); err != nil {
			t.Error(err)
		}
	})
}

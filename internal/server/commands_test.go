package server

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
)

func TestCommands(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.session()
	path := "/api/v1/sessions/" + s.id + "/commands"
	var one, again api.Command
	b.do(202, "POST", path, b.person, api.NewCommand{ID: "c1", Kind: "message", Text: "hello", Priority: "now"}, &one)
	b.do(202, "POST", path, b.person, api.NewCommand{ID: "c1", Kind: "message", Text: "hello", Priority: "now"}, &again)
	if one.Seq != 1 || again.Seq != 1 || one.CreatedBy != "alice" {
		t.Errorf("%+v, %+v", one, again)
	}
	b.do(202, "POST", path, b.person, api.NewCommand{Kind: "interrupt"}, nil)
	var all api.Commands
	b.do(200, "GET", path+"?after=1", b.person, nil, &all)
	if len(all.Commands) != 1 || all.Commands[0].ID == "" {
		t.Errorf("%+v", all)
	}
	for _, body := range []string{`{}`, `{"kind":"reboot"}`, `{"kind":"message"}`, `{"kind":"message","text":"x","priority":"soon"}`,
		`{"kind":"interrupt","text":"x"}`, `{"kind":"interrupt","priority":"now"}`, `{"kind":"answer"}`, `{"kind":"answer","answer":{}}`,
		`{"kind":"message","text":"x","answer":{"ask":"a","decision":"deny"}}`} {
		b.refused(api.CodeInvalid, "POST", path, b.person, body)
	}
	b.refused(api.CodeNotFound, "POST", "/api/v1/sessions/nope/commands", b.person, api.NewCommand{Kind: "interrupt"})
	b.upload(s, 1, finish(s.id, 1))
	b.refused(api.CodeConflict, "POST", path, b.person, api.NewCommand{Kind: "interrupt"})
}

func TestAnswersAreChecked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.session()
	path := "/api/v1/sessions/" + s.id + "/commands"
	answer := func(d event.Decision) api.NewCommand {
		return api.NewCommand{ID: "c-" + string(d), Kind: "answer", Answer: &event.Answer{Ask: "a1", Decision: d}}
	}
	b.refused(api.CodeConflict, "POST", path, b.person, answer("allow"))
	b.upload(s, 1, anEvent(s.id, 1, "ask.opened", `{"ask":"a1","kind":"permission","tool":"Bash","title":"rm -rf build","options":["allow","deny"],"default":"deny"}`))
	var in api.Inbox
	b.do(200, "GET", "/api/v1/inbox", b.person, nil, &in)
	if in.Items[0].Kind != api.InboxAsk || in.Items[0].Ask == nil {
		t.Fatalf("%+v", in)
	}
	if e := b.refused(api.CodeInvalid, "POST", path, b.person, answer("stop")); !strings.Contains(e.Error.Message, "decision") {
		t.Errorf("%+v", e)
	}
	var wg sync.WaitGroup
	for range pageMax { // an answer is known again after any number of commands
		wg.Go(func() {
			if _, _, err := b.store.AddCommand(t.Context(), s.id, api.NewCommand{Kind: "interrupt"}, "alice", time.Now()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var c api.Command
	b.do(202, "POST", path, b.person, answer("allow"), &c)
	if c.Answer == nil || c.Answer.By != "alice" {
		t.Errorf("%+v", c)
	}
	b.upload(s, 2, anEvent(s.id, 2, "ask.answered", `{"ask":"a1","decision":"allow","by":"person"}`))
	b.do(202, "POST", path, b.person, answer("allow"), nil) // the answer to it was lost
	b.refused(api.CodeConflict, "POST", path, b.person, answer("deny"))
}

package agent

import (
	"bytes"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/permission"
)

// FuzzAsks feeds hostile lines to both adapters and answers what is asked, twice: the
// first answer is sent, the second is not, and a replay does the same.
func FuzzAsks(f *testing.F) {
	for _, seed := range []string{
		`{"type":"control_request","request_id":"r","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{"command":"ls"}}}`,
		`{"type":"control_request","request_id":"r","request":{"subtype":"can_use_tool","tool_name":"AskUserQuestion","input":{"questions":[{"question":"q"}]}}}`,
		`{"type":"control_request","request_id":"r","request":{"subtype":"elicitation","requested_schema":{}}}` + "\n" + `{"type":"control_cancel_request","request_id":"r"}`,
		`{"method":"item/commandExecution/requestApproval","id":0,"params":{"command":"/bin/bash -lc 'ls'"}}` + "\n" + `{"method":"serverRequest/resolved","params":{"requestId":0}}`,
		`{"method":"item/tool/requestUserInput","id":"0","params":{"questions":[{"id":"q"}]}}`,
		`{"method":"mcpServer/elicitation/request","id":-1,"params":{"_meta":{"codex_approval_kind":"x"}}}`,
	} {
		f.Add([]byte(seed), byte(0))
	}
	f.Fuzz(func(t *testing.T, data []byte, pick byte) {
		for _, kind := range []Kind{Claude, Codex} {
			o := Options{Kind: kind, Attended: true, Permissions: &permission.Policy{}}
			first, again := New(o), New(o)
			if kind == Codex {
				for _, a := range []Adapter{first, again} {
					a.Start()
					a.Line([]byte(`{"id":1,"result":{}}`))
					a.Line([]byte(`{"id":2,"result":{"thread":{"id":"T"}}}`))
				}
			}
			both := func(f func(Adapter) Step) Step {
				s := f(first)
				if diff := cmp.Diff(s, f(again)); diff != "" {
					t.Fatalf("%s: replay differs:\n%s", kind, diff)
				}
				return s
			}
			for line := range bytes.Lines(data) {
				line = bytes.TrimSuffix(line, []byte("\n"))
				for i, e := range both(func(a Adapter) Step { return a.Line(line) }).Events {
					if asked, ok := e.(event.AskOpened); ok && asked.Default != "" {
						answerFuzzed(t, both, asked, pick, strconv.Itoa(i))
					}
				}
			}
		}
	})
}

func answerFuzzed(t *testing.T, both func(func(Adapter) Step) Step, o event.AskOpened, pick byte, id string) {
	a := event.Answer{Ask: o.Ask, Decision: o.Options[int(pick)%len(o.Options)], Answers: map[string][]string{}}
	if a.Decision == event.DecideAllow {
		for _, q := range o.Questions {
			a.Answers[q.ID] = []string{"x"}
		}
		if o.Kind == event.AskForm {
			a.Input = []byte(`{}`)
		}
	}
	if err := a.Check(o); err != nil {
		t.Fatalf("%+v is no answer to %+v: %v", a, o, err)
	}
	do := func(ad Adapter) Step { return ad.Do(Command{ID: id, Kind: Answer, Answer: &a}) }
	if s := both(do); len(s.Send) == 0 {
		t.Fatalf("the answer to %+v is not sent", o)
	}
	if s := both(do); len(s.Send) > 0 {
		t.Fatalf("the answer to %+v is sent twice: %q", o, s.Send)
	}
}

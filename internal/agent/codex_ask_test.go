package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/permission"
)

func askingCodex() Adapter {
	return newCodex(Options{Kind: Codex, Model: "gpt-5.5", Attended: true, Permissions: &permission.Policy{}})
}

// answer plays what a recording's driver answered.
func (p *codexPlayer) answer(line json.RawMessage, id string) {
	var l struct {
		Result struct {
			Decision string `json:"decision"`
			Action   string `json:"action"`
			Answers  map[string]struct {
				Answers []string `json:"answers"`
			} `json:"answers"`
		} `json:"result"`
	}
	if json.Unmarshal(line, &l) != nil || id == "" {
		return
	}
	a := event.Answer{Ask: "request-" + id, By: event.ByPerson}
	a.Decision = map[string]event.Decision{
		"accept": event.DecideAllow, "acceptForSession": event.DecideSession, "decline": event.DecideDeny, "cancel": event.DecideStop,
	}[l.Result.Decision+l.Result.Action]
	if l.Result.Answers != nil {
		a.Decision, a.Answers = event.DecideAllow, map[string][]string{}
		for q, texts := range l.Result.Answers {
			a.Answers[q] = texts.Answers
		}
	}
	p.step("do answer "+id, func(ad Adapter) Step { return ad.Do(answerTo("answer-"+id, a)) })
}

// TestCodexAskedRecordings plays recordings whose driver answered: our answers have
// to be the recorded ones, and a replay has to repeat them.
func TestCodexAskedRecordings(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"approve", "ap2-untrusted-danger-full-access-0", "lab-approve", "lab-ask", "mcp-approval"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := "testdata/codex/" + name + ".jsonl"
			p := newCodexPlayer(t)
			p.a, p.asking = askingCodex(), true
			p.step("start", Adapter.Start)
			for _, f := range readCodexFixture(t, file) {
				p.play(f)
			}
			var log bytes.Buffer
			for line := range strings.Lines(p.log.String()) {
				for _, about := range []string{"ask.", "command.", `"result":`, "do ", "turn.finished"} {
					if strings.Contains(line, about) {
						log.WriteString(line)
						break
					}
				}
			}
			golden(t, strings.TrimSuffix(file, ".jsonl")+".asked.golden", log.Bytes())

			again := newCodexPlayer(t)
			again.a = askingCodex()
			for i, title := range titlesOf(p.log.String()) {
				again.step(title, p.steps[i])
			}
			if !bytes.Equal(p.log.Bytes(), again.log.Bytes()) {
				t.Error("the replay differs from the first run")
			}
		})
	}
}

// askingCodexRig is a rig in turn "U" in which ask request-0 waits for a person.
func askingCodexRig(t *testing.T, line string) codexRig {
	t.Helper()
	r := codexRig{t: t, a: askingCodex()}
	r.a.Start()
	r.line(`{"id":1,"result":{"userAgent":"ratchetai-runner/0.169.0 (x)"}}`)
	r.line(`{"id":2,"result":{"thread":{"id":"T"},"model":"m","cwd":"/workspace"}}`)
	r.message("a")
	r.line(`{"id":3,"result":{"turn":{"id":"U","status":"inProgress"}}}`)
	r.line(`{"method":"turn/started","params":{"threadId":"T","turn":{"id":"U"}}}`)
	r.line(codexUserItem("a"))
	if line == "" {
		line = `{"method":"item/commandExecution/requestApproval","id":0,"params":{"command":"/bin/bash -lc 'rm x'","itemId":"i"}}`
	}
	s := r.line(line)
	if o, ok := s.Events[0].(event.AskOpened); !ok || len(s.Events) != 1 || len(s.Send) != 0 || o.Default != event.DecideDeny {
		t.Fatalf("asked %+v", s)
	}
	return r
}

func sentLines(s Step) string {
	var all []string
	for _, l := range s.Send {
		all = append(all, string(l))
	}
	return strings.Join(all, "\n")
}

// A message goes with a denial into the turn, before it.
func TestCodexDenyWithMessage(t *testing.T) {
	t.Parallel()
	r := askingCodexRig(t, "")
	s := r.a.Do(answerTo("c1", event.Answer{Ask: "request-0", Decision: event.DecideDeny, Message: "use trash"}))
	want := `{"id":4,"method":"turn/steer","params":{"threadId":"T","expectedTurnId":"U","input":[{"type":"text","text":"Denied: rm x\nuse trash"}],"clientUserMessageId":"c1"}}` +
		"\n" + `{"id":0,"result":{"decision":"decline"}}`
	if got := sentLines(s); got != want {
		t.Errorf("sent %s\nwant %s", got, want)
	}
	r.want(r.line(`{"method":"serverRequest/resolved","params":{"requestId":0}}`), "", event.Protocol{Name: "serverRequest/resolved"})
	r.want(r.line(`{"id":4,"result":{"turnId":"U"}}`), "", event.CommandDelivered{Command: "c1"})
	r.line(codexUserItem("c1"))
	r.line(codexTurnEnd("U", "completed"))
	r.wantIdle(true)
}

func TestCodexAnswers(t *testing.T) {
	t.Parallel()
	mcp := `{"method":"mcpServer/elicitation/request","id":0,"params":{"serverName":"s","_meta":{"codex_approval_kind":"mcp_tool_call","tool_name":"t","tool_params":{"a":1}}}}`
	form := `{"method":"mcpServer/elicitation/request","id":0,"params":{"serverName":"s","mode":"form","message":"m","requestedSchema":{"type":"object"}}}`
	question := `{"method":"item/tool/requestUserInput","id":0,"params":{"questions":[{"id":"q","question":"which?","options":[{"label":"a"}]}]}}`
	for name, tt := range map[string]struct {
		line   string
		answer event.Answer
		want   string // result, or error text
	}{
		"allow":         {"", event.Answer{Decision: event.DecideAllow}, `{"decision":"accept"}`},
		"stop":          {"", event.Answer{Decision: event.DecideStop}, `{"decision":"cancel"}`},
		"edited":        {"", event.Answer{Decision: event.DecideAllow, Input: json.RawMessage(`{}`)}, "cannot be edited"},
		"mcp":           {mcp, event.Answer{Decision: event.DecideSession}, `{"action":"accept","content":{}}`},
		"mcp denied":    {mcp, event.Answer{Decision: event.DecideDeny}, `{"action":"decline","content":null}`},
		"form":          {form, event.Answer{Decision: event.DecideAllow, Input: json.RawMessage(`{"x":1}`)}, `{"action":"accept","content":{"x":1}}`},
		"form empty":    {form, event.Answer{Decision: event.DecideAllow}, "answered with an input"},
		"question":      {question, event.Answer{Decision: event.DecideAllow, Answers: map[string][]string{"q": {"free"}}}, `{"answers":{"q":{"answers":["free"]}}}`},
		"question late": {question, event.Answer{Decision: event.DecideDeny, Message: "late", By: event.ByTimeout}, `{"answers":{"q":{"answers":["late"]}}}`},
		"wrong id":      {question, event.Answer{Decision: event.DecideAllow, Answers: map[string][]string{"r": {"x"}}}, "no question"},
		"unanswered":    {question, event.Answer{Decision: event.DecideAllow}, "has no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := askingCodexRig(t, tt.line)
			tt.answer.Ask = "request-0"
			s := r.a.Do(answerTo("c1", tt.answer))
			if failed, ok := s.Events[0].(event.CommandFailed); ok {
				if !strings.Contains(failed.Error, tt.want) || len(s.Send) != 0 {
					t.Errorf("failed with %q, want %q", failed.Error, tt.want)
				}
				return
			}
			if want := `{"id":0,"result":` + tt.want + `}`; sentLines(s) != want {
				t.Errorf("sent %s, want %s", sentLines(s), want)
			}
			r.want(r.line(`{"method":"serverRequest/resolved","params":{"requestId":0}}`), "", event.CommandDelivered{Command: "c1"})
		})
	}
}

// What cannot be declined and stopped in one answer is interrupted besides.
func TestCodexStopMCP(t *testing.T) {
	t.Parallel()
	r := askingCodexRig(t, `{"method":"mcpServer/elicitation/request","id":0,"params":{"serverName":"s","_meta":{"codex_approval_kind":"mcp_tool_call","tool_name":"t"}}}`)
	s := r.a.Do(answerTo("c1", event.Answer{Ask: "request-0", Decision: event.DecideStop}))
	want := `{"id":0,"result":{"action":"cancel","content":null}}` + "\n" + `{"id":4,"method":"turn/interrupt","params":{"threadId":"T","turnId":"U"}}`
	if got := sentLines(s); got != want {
		t.Errorf("sent %s\nwant %s", got, want)
	}
}

// An ask ends with the turn that is interrupted.
func TestCodexWithdraws(t *testing.T) {
	t.Parallel()
	r := askingCodexRig(t, "")
	r.want(r.line(`{"method":"serverRequest/resolved","params":{"requestId":0}}`), "", event.AskExpired{Ask: "request-0", Reason: event.ExpiredWithdrawn})
	late := r.a.Do(answerTo("c1", event.Answer{Ask: "request-0", Decision: event.DecideAllow}))
	r.want(late, "", event.CommandFailed{Command: "c1", Error: "the ask is not open"})
}

// Only a shell of the system is seen through.
func TestCodexScript(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`/bin/bash -lc 'rm x'`:                           "rm x",
		`/usr/bin/bash -c ls`:                            "ls",
		`/bin/bash -lc "echo 'it'\"'\"'s' \"a "'$HOME"'`: `echo 'it'"'"'s' "a $HOME"`,
		`/workspace/bash -lc ls`:                         `/workspace/bash -lc ls`,
		`bash -lc ls`:                                    `bash -lc ls`,
		`/bin/bash -lc ls; rm`:                           `/bin/bash -lc ls; rm`,
		`/bin/bash -x -lc ls`:                            `/bin/bash -x -lc ls`,
		`/bin/bash -lc`:                                  `/bin/bash -lc`,
	} {
		if got := codexScript(in); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
	if got := codexJoin([]string{"/bin/bash", "-lc", "a; b"}); got != "a; b" {
		t.Errorf("joined %q", got)
	}
	if got := codexJoin([]string{"ls", "it's"}); got != `'ls' 'it'"'"'s'` {
		t.Errorf("joined %q", got)
	}
}

func TestCodexPolicy(t *testing.T) {
	t.Parallel()
	r := codexRig{t: t, a: newCodex(Options{Permissions: &permission.Policy{Rules: []permission.Rule{
		{Decision: permission.Deny, Commands: []string{"rm *"}, Message: "never"},
		{Decision: permission.Allow, Paths: []string{"*.md"}},
	}}})}
	r.a.Start()
	r.line(`{"id":1,"result":{}}`)
	r.line(`{"id":2,"result":{"thread":{"id":"T"}}}`)
	r.message("a")
	r.line(`{"id":3,"result":{"turn":{"id":"U","status":"inProgress"}}}`)
	r.line(`{"method":"turn/started","params":{"threadId":"T","turn":{"id":"U"}}}`)
	s := r.line(`{"method":"item/commandExecution/requestApproval","id":0,"params":{"command":"/bin/bash -lc 'cd x && rm -r y'"}}`)
	if got := sentLines(s); !strings.Contains(got, "Denied: cd x && rm -r y\\nnever") || !strings.HasSuffix(got, `{"id":0,"result":{"decision":"decline"}}`) {
		t.Errorf("sent %s", got)
	}
	for i, path := range []string{"/workspace/a.md", "/etc/a.md"} {
		r.line(fmt.Sprintf(`{"method":"item/started","params":{"threadId":"T","turnId":"U","item":{"type":"fileChange","id":"f%d","changes":[{"path":%q,"kind":{"type":"add"},"diff":"x\n"}]}}}`, i, path))
		s := r.line(fmt.Sprintf(`{"method":"item/fileChange/requestApproval","id":%d,"params":{"itemId":"f%d"}}`, i+1, i))
		o := s.Events[0].(event.AskOpened)
		if allowed := len(s.Send) == 1; allowed != (i == 0) || o.Paths[0] != path || o.Diff != "± "+path+"\n+x\n" {
			t.Errorf("%s: allowed %v, %+v", path, allowed, o)
		}
	}
}

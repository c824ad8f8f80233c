package agent

import (
	"strings"
	"testing"
)

func TestRenewal(t *testing.T) {
	t.Parallel()
	for kind, want := range map[Kind]struct {
		lines, hosts, env string
		answers           map[string]string // line -> problem
	}{
		Claude: {
			lines: `{"type":"control_request","request_id":"renew","request":{"subtype":"initialize"}}`,
			hosts: "platform.claude.com api.anthropic.com",
			answers: map[string]string{
				`{"type":"control_response","response":{"subtype":"success","request_id":"renew","response":{}}}`: "",
			},
		},
		Codex: {
			lines: `{"id":1,"method":"initialize","params":{"clientInfo":{"name":"ratchetai-runner","title":"ratchetai-runner","version":"1"}}}` + "\n" +
				`{"method":"initialized"}` + "\n" + `{"id":2,"method":"account/read","params":{"refreshToken":true}}`,
			hosts: "auth.openai.com chatgpt.com",
			env:   "CODEX_HOME=/home/agent/.codex",
			answers: map[string]string{
				`{"id":2,"result":{"account":{"type":"chatgpt"}}}`:         "",
				`{"error":{"code":-32603,"message":"no such use"},"id":2}`: "no such use",
			},
		},
	} {
		r := NewRenewal(kind)
		var lines []string
		for _, l := range r.Lines {
			lines = append(lines, string(l))
		}
		if got := strings.Join(lines, "\n"); got != want.lines {
			t.Errorf("%s sends %s, want %s", kind, got, want.lines)
		}
		if got := strings.Join(r.Hosts, " "); got != want.hosts || len(r.Denied) > 0 {
			t.Errorf("%s reaches %s but not %s", kind, got, r.Denied)
		}
		if env := strings.Join(r.Env, " "); !strings.Contains(env, want.env) || strings.Contains(env, "CLAUDE_CONFIG_DIR") {
			t.Errorf("%s has %s", kind, env)
		}
		for line, problem := range want.answers {
			if ok, got := r.Answered([]byte(line)); !ok || got != problem {
				t.Errorf("%s: %s is %v, %q", kind, line, ok, got)
			}
		}
		for _, line := range []string{"", "{", `{"id":1,"result":{}}`, `{"method":"account/updated","params":{}}`, `{"type":"system","request_id":"renew"}`, `{"type":"control_response"}`} {
			if ok, _ := r.Answered([]byte(line)); ok {
				t.Errorf("%s: %s is an answer", kind, line)
			}
		}
		if p := SignIn(kind); strings.Contains(strings.Join(p.Command, " "), "stream-json") || len(p.Command) < 3 {
			t.Errorf("%s signs in by %v", kind, p.Command)
		}
	}
}

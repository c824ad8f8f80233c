package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
)

func TestParseTyped(t *testing.T) {
	t.Parallel()
	next := func(text string) typed { return typed{text: text, priority: agent.Next} }
	for line, want := range map[string]typed{
		"hello":                    next("hello"),
		"/next hello":              next("hello"),
		"/now stop that":           {text: "stop that", priority: agent.Now},
		"/later\tand  then":        {text: "and  then", priority: agent.Later},
		"/now one\ntwo":            {text: "one\ntwo", priority: agent.Now},
		"/now\none":                {text: "one", priority: agent.Now},
		"/withdraw":                {withdraw: true},
		"//compact":                next("/compact"),
		"//now x":                  next("/now x"),
		"///":                      next("//"),
		"/workspace/x.go is wrong": next("/workspace/x.go is wrong"),
		"/":                        next("/"),
		"/ now":                    next("/ now"),
		"/now: x":                  next("/now: x"),
		"say /now":                 next("say /now"),
	} {
		got, err := parseTyped(line)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(typed{})); diff != "" || err != nil {
			t.Errorf("%q: %v (-want +got):\n%s", line, err, diff)
		}
	}
	for line, want := range map[string]string{
		"/now":           "type /now TEXT",
		"/withdraw that": "has no text",
		"/compact":       "//compact … sends it to the agent",
		"/nwo x":         "no command /nwo",
	} {
		if got, err := parseTyped(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v", line, got, err)
		}
	}
}

// A line that is not sent can be edited.
func TestLadderTyped(t *testing.T) {
	t.Parallel()
	f := &fakeSession{}
	var said []string
	l := &ladder{session: f, say: func(s string) { said = append(said, s) }}
	for line, sent := range map[string]bool{"x": true, "/later y": true, "/withdraw": true, "/nwo z": false} {
		if l.typed(line) != sent {
			t.Errorf("%q: sent is %v", line, !sent)
		}
	}
	if len(f.calls) != 3 || len(said) != 1 {
		t.Errorf("calls %q, said %q", f.calls, said)
	}
	var e editor
	e.keys([]byte("typed since"))
	e.restore("/nwo z ")
	if e.String() != "/nwo z typed since" {
		t.Errorf("left %q", e.String())
	}
}

package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const committed = "../../internal/agent/testdata/recorded/"

// TestCommittedShapes keeps the files of shapes true to the recordings.
func TestCommittedShapes(t *testing.T) {
	t.Parallel()
	for _, s := range streams() {
		want, err := shapesOf(committed + string(s))
		if err != nil || len(want) == 0 {
			t.Fatalf("%s: %d shapes, %v", s, len(want), err)
		}
		got, err := os.ReadFile(committed + string(s) + ".shapes")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.String(), string(got)); diff != "" {
			t.Errorf("%s (-recordings +file):\n%s", s, diff)
		}
		if changes := drift(parseShapes(string(got)), want); len(changes) > 0 {
			t.Errorf("%s: %q", s, changes)
		}
	}
}

// TestCommittedScenarios finds recordings that no scenario makes any more, and
// scenarios that nobody recorded.
func TestCommittedScenarios(t *testing.T) {
	t.Parallel()
	made := map[string]bool{}
	for _, s := range scenarios() {
		name := string(s.stream) + "/" + s.name
		if made[name] {
			t.Errorf("two scenarios are %s", name)
		}
		made[name] = true
	}
	for _, s := range streams() {
		files, err := os.ReadDir(committed + string(s))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if name, ok := strings.CutSuffix(f.Name(), ".jsonl"); ok && !made[string(s)+"/"+name] {
				t.Errorf("no scenario makes %s/%s", s, f.Name())
			} else if ok {
				delete(made, string(s)+"/"+name)
			}
		}
	}
	for name := range made {
		t.Errorf("%s was not recorded", name)
	}
}

func TestShapesAndDrift(t *testing.T) {
	t.Parallel()
	before, now := shapes{}, shapes{}
	for _, line := range []string{
		`{"type":"system","subtype":"init","model":"m","tools":["a"]}`,
		`{"type":"result","subtype":"success","n":1,"gone":true,"modelUsage":{"m":{"x":1}}}`,
		`{"type":"old"}`, `{"do":"message"}`, `not JSON`,
	} {
		before.add([]byte(line))
	}
	for _, line := range []string{
		`{"type":"system","subtype":"init","model":"m","tools":["a"]}`,
		`{"type":"result","subtype":"success","n":null,"more":[{"a":"b"}],"modelUsage":{"other":{}}}`,
		`{"method":"item/started","params":{"item":{"type":"plan"}}}`,
	} {
		now.add([]byte(line))
	}
	want := []string{
		"new      item/started/plan  + method string  + params object",
		"gone     old",
		"changed  result/success  + more array  - gone  ~ n: null, was number",
	}
	if diff := cmp.Diff(want, drift(parseShapes(before.String()), now)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if changes := drift(now, parseShapes(now.String())); len(changes) > 0 {
		t.Errorf("shapes that were written and read differ: %q", changes)
	}
}

func TestScrub(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{
			`{"a":"01a2136b-1111-7222-8333-444455556666","b":"02a2136b-1111-7222-8333-444455556666","c":"01a2136b-1111-7222-8333-444455556666"}`,
			`{"a":"00000000-0000-4000-8000-000000000001","b":"00000000-0000-4000-8000-000000000002","c":"00000000-0000-4000-8000-000000000001"}`,
		},
		{`{"id":"` + ownID + `000000000001"}`, `{"id":"` + ownID + `000000000001"}`},
		{`{"duration_ms":17.5,"startedAtMs":9,"created_at":5,"resetsAt":1795355520,"input_tokens":12}`, `{"duration_ms":1,"startedAtMs":1,"created_at":1,"resetsAt":1795355520,"input_tokens":12}`},
		{`{"t":"2026-11-25T15:43:01.123Z","url":"http://127.0.0.1:41234/v1"}`, `{"t":"2026-01-02T03:04:05Z","url":"http://127.0.0.1:1/v1"}`},
		{`{"id":"toolu_ABCDEFGHIJKLMNOPQRSTUVWXYZ","task_id":"b1234abcd","text":"b1234abcd"}`, `{"id":"toolu_1","task_id":"task-1","text":"task-1"}`},
	} {
		got := scrub(tt.in)
		if got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.in, got, tt.want)
		}
		if again := scrub(got); again != got {
			t.Errorf("scrubbing twice changes %s to %s", got, again)
		}
	}
}

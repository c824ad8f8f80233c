package server

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

var update = flag.Bool("update", false, "write the tables of docs/PROTOCOL.md")

// The tables of docs/PROTOCOL.md are made from the code.
func TestProtocolTables(t *testing.T) {
	t.Parallel()
	const file = "../../docs/PROTOCOL.md"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for name, table := range map[string]string{"states": stateTable(), "errors": errorTable()} {
		head, rest, ok := strings.Cut(text, "<!-- begin "+name+" -->\n")
		old, tail, ok2 := strings.Cut(rest, "<!-- end "+name+" -->")
		if !ok || !ok2 {
			t.Fatalf("no place for the table of %s", name)
		}
		if old != table && !*update {
			t.Errorf("the table of %s is old: go test ./internal/server -run TestProtocolTables -update", name)
		}
		text = head + "<!-- begin " + name + " -->\n" + table + "<!-- end " + name + " -->" + tail
	}
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func stateTable() string {
	var b strings.Builder
	b.WriteString("| task | may become |\n|---|---|\n")
	row(&b, []task.State{task.Queued, task.Assigned, task.Running, task.Finished}, task.State.Check)
	b.WriteString("\n| session | may become |\n|---|---|\n")
	row(&b, []task.SessionState{task.Offered, task.Accepted, task.Active, task.Ended, task.Declined, task.Returned, task.Gone}, task.SessionState.Check)
	return b.String()
}

func row[S ~string](b *strings.Builder, all []S, check func(S, S) error) {
	for _, from := range all {
		var to []string
		for _, next := range all {
			if check(from, next) == nil {
				to = append(to, string(next))
			}
		}
		if len(to) == 0 {
			to = []string{"–"}
		}
		fmt.Fprintf(b, "| %s | %s |\n", from, strings.Join(to, ", "))
	}
}

func errorTable() string {
	var b strings.Builder
	b.WriteString("| code | status | what it means |\n|---|---|---|\n")
	for _, e := range []struct {
		code api.Code
		text string
	}{
		{api.CodeInvalid, "the request is not understood; of a batch, the message says which line"},
		{api.CodeUnauthorized, "the token is missing, wrong, expired or revoked: stop"},
		{api.CodeForbidden, "the token is for something else"},
		{api.CodeNotFound, "there is no such thing"},
		{api.CodeConflict, "not in this state"},
		{api.CodeGap, "events are missing: go on after `acked`, which is beside `error`"},
		{api.CodeFenced, "the lease is lost: stop the session, keep its journal"},
		{api.CodeSuperseded, "a newer process is this runner: end"},
		{api.CodeTooLarge, "split the batch"},
		{api.CodeTooMany, "come again after `Retry-After`"},
		{api.CodeInternal, "the control plane failed; its log says more"},
		{api.CodeUnavailable, "starting, stopping or out of disk: come again after `Retry-After`"},
	} {
		fmt.Fprintf(&b, "| `%s` | %d | %s |\n", e.code, status(e.code), e.text)
	}
	return b.String()
}

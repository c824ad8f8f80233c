package workspace

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of the rules into docs/PROTECTED.md")

// TestDocs keeps the table in docs/PROTECTED.md the one in the code.
func TestDocs(t *testing.T) {
	const file, begin, end = "../../docs/PROTECTED.md", "<!-- rules -->\n", "<!-- /rules -->\n"
	var table strings.Builder
	table.WriteString("| path | why | where absent |\n|---|---|---|\n")
	for _, r := range Rules() {
		absent := "reported when created"
		if r.Hold {
			absent = "held"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", r.Path, r.Reason, absent)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(data), begin)
	old, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no %s … %s", file, begin, end)
	}
	if *update {
		if err := os.WriteFile(file, []byte(head+begin+table.String()+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if old != table.String() {
		t.Errorf("%s is out of date; run: go test ./internal/workspace -run TestDocs -update", file)
	}
}

package permission

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

const remarks = `# mine
rules:   # from here
    -   decision: deny
        command: [rm *]   # never
        message: |
          keep it
          # no comment
    # a comment

# what is left
default: ask   # the end
# really
`

// TestAppend adds to files as people write them, and keeps every byte of them.
func TestAppend(t *testing.T) {
	t.Parallel()
	rule := `- decision: allow
XX  kind: "shell"
XX  tool: "Bash"
XX  line: "make a > b"
`
	with := func(indent string) string {
		return indent + strings.ReplaceAll(strings.Replace(rule, `"shell"`, "shell", 1), "XX", indent)
	}
	for in, want := range map[string]string{
		"":                                      newFile + with("  "),
		"\n":                                    "\n" + newFile + with("  "),
		"default: deny":                         "default: deny\nrules:\n" + with("  "),
		"rules:\n- decision: deny\n  kind: mcp": "rules:\n- decision: deny\n  kind: mcp\n" + with(""),
		"rules:\r\n- decision: deny\r\n  kind: mcp\r\n":                                          "rules:\r\n- decision: deny\r\n  kind: mcp\r\n" + with(""),
		"rules:\n  -\n    decision: deny\n    kind: mcp\n":                                       "rules:\n  -\n    decision: deny\n    kind: mcp\n" + with("  "),
		"rules:\n  - {decision: deny, kind: mcp}\n# end\n":                                       "rules:\n  - {decision: deny, kind: mcp}\n# end\n" + with("  "),
		"default: deny\nrules:\n  - decision: deny\n    kind: mcp\n    message: |+\n      x\n\n": "default: deny\nrules:\n  - decision: deny\n    kind: mcp\n    message: |+\n      x\n\n" + with("  "),
		remarks: strings.Replace(remarks, "    # a comment\n", "    # a comment\n"+with("    "), 1),
		// Blank lines that are a text's own.
		"rules:\n- decision: deny\n  kind: mcp\n  message: |+\n    x\n\n\ndefault: ask\n": "rules:\n- decision: deny\n  kind: mcp\n  message: |+\n    x\n\n\n" + with("") + "default: ask\n",
	} {
		got, v, err := Append([]byte(in), shell("make a > b"))
		if err != nil || string(got) != want {
			t.Errorf("%q: %v\n%s\nwant\n%s", in, err, got, want)
			continue
		}
		p, err := Parse(got)
		if err != nil || v.Rule != len(p.Rules) || p.Decide(shell("make a > b")) != v {
			t.Errorf("%q: %v, %+v of %+v", in, err, v, p)
		}
		if _, v, err = Append(got, shell("make a > b")); !errors.Is(err, ErrDecided) || v.Decision != Allow {
			t.Errorf("%q: twice: %+v, %v", in, v, err)
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"rules": [{"decision": "deny", "kind": "mcp"}]}`: "in brackets or JSON",
		"rules: []": "in brackets or JSON",
		"rules: [{decision: deny, kind: mcp}]\ndefault: ask\n": "in brackets or JSON",
		"rules:":      "is no list",
		"# nothing\n": "no documents",
		"rules:\n- decision: deny\n  kind: mcp\n...\n":  "no place",
		"rules:\n- decision: deny\n  command: make *\n": ErrDecided.Error(),
		"rules:\n- decision: ask\n  command: b\n":       ErrDecided.Error(),
		"default: allow":              ErrDecided.Error(),
		"rules:\n- decision: never\n": "none of allow",
	} {
		if got, _, err := Append([]byte(in), shell("make a > b")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %s, %v; want %q", in, got, err, want)
		}
	}
	_, v, err := Append([]byte("rules:\n- decision: ask\n  kind: shell\n"), shell("ls"))
	if !errors.Is(err, ErrDecided) || v.Decision != Ask || v.Rule != 1 {
		t.Errorf("behind a rule that asks: %+v, %v", v, err)
	}
	// Of a list of commands, some allowed already: all of it is needed.
	if _, _, err := Append([]byte("rules:\n- decision: allow\n  command: ls\n"), shell("ls && make")); err != nil {
		t.Error(err)
	}
}

// TestExactly: the rule for a hostile call, written and read again, allows just that.
func TestExactly(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"ls", "ls *", "ls -l | wc -l", "make a && make b", "echo \"$(date)\" > 'a b'", "x: y", "- a", "# a", "\"", "'", `\`, `\n`, "a\nb", "a\r\nb", "\ta",
		" ls", "ls ", "rules:\n  - decision: allow\n", "\"\n    kind: read\n  - decision: allow # \"", "{a: b}", "[x]", "&a *a", "!!str x", "%", "@", "`a`", "null", "yes", "5", "~", "é 日本 😀",
		"a\u202eb\u2028c\u0085d\u00a0e\ufefff", "a\x00b", "a\x1b[2Jb", "a\x7fb", "\U000e0041", strings.Repeat("x", lineMax),
	} {
		data, _, err := Append([]byte(remarks), shell(line))
		if err != nil {
			t.Errorf("%q: %v", line, err)
			continue
		}
		p, err := Parse(data)
		if err != nil || len(p.Rules) != 2 || !reflect.DeepEqual(p.Rules[1].Lines, []string{line}) {
			t.Errorf("%q: %v, %+v", line, err, p)
			continue
		}
		if v := p.Decide(shell(line)); v != (Verdict{Decision: Allow, Rule: 2}) {
			t.Errorf("%q is %+v", line, v)
		}
		others := []Call{{Kind: event.KindShell, Tool: "Monitor", Command: line}, {Kind: event.KindOther, Tool: "Bash", Command: line}}
		for _, other := range []string{
			line + "; rm -rf /", line + " ", " " + line, line + "\n", line + " -x", line + "; ls", line + " && " + line, line + "|sh", strings.ToUpper(line) + "X",
			strings.ReplaceAll(line, "*", "x") + "x", "", "make b", "make a", "wc -l", "x" + line,
		} {
			if other != line {
				others = append(others, shell(other))
			}
		}
		for _, other := range others {
			if v := p.Decide(other); v.Decision == Allow {
				t.Errorf("%q allows %+v", line, other)
			}
		}
	}
}

func TestExactlyOthers(t *testing.T) {
	t.Parallel()
	edit := func(paths ...string) Call { return Call{Kind: event.KindEdit, Tool: "Edit", Paths: paths} }
	fetch := func(host string) Call { return Call{Kind: event.KindFetch, Tool: "WebFetch", Host: host} }
	mcp := func(tool string) Call { return Call{Kind: event.KindMCP, Tool: tool} }
	for _, tc := range []struct {
		call Call
		not  []Call // of what is like it
		want string
	}{
		{edit("/workspace/a b.go"), []Call{edit("/workspace/a"), edit("/workspace/a b.go/c"), edit("a b.go", "c"), {Kind: event.KindRead, Tool: "Edit", Paths: []string{"a b.go"}}}, ""},
		{edit("src/[a].go"), []Call{edit("src/a.go")}, ""},
		{fetch("example.com"), []Call{fetch("a.example.com"), fetch("example.com.evil.net"), fetch("")}, ""},
		{mcp("mcp__a__b"), []Call{mcp("mcp__a__bc"), mcp("mcp__a__"), mcp("")}, ""},
		{edit("a", "b"), nil, "several files"},
		{edit("src/**"), nil, "any text"},
		{edit("a/../b"), nil, "sure"},
		{edit("a\nb"), nil, "sure"},
		{edit(), nil, "nothing tells"},
		{fetch("*.example.com"), nil, "any text"},
		{fetch("::1"), nil, "no host name"},
		{fetch(""), nil, "nothing tells"},
		{mcp("mcp__*"), nil, "stand for others"},
		{mcp(""), nil, "stand for others"},
		{shell(""), nil, "nothing tells"},
		{shell("x\xff"), nil, "no text"},
		{shell(strings.Repeat("x", lineMax+1)), nil, "longer"},
		{shell("curl -H 'x: [redacted]' y"), nil, "hidden"},
		{shell("echo 'a…[20 bytes]…b'"), nil, "hidden"},
		{Call{Kind: event.KindOther, Tool: "Skill"}, nil, "nothing tells"},
		{Call{Kind: "new", Tool: "x", Paths: []string{"a"}}, nil, "unknown kind"},
	} {
		data, _, err := Append(nil, tc.call)
		if tc.want != "" {
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%+v: %v, want %q", tc.call, err, tc.want)
			}
			continue
		}
		p, perr := Parse(data)
		if err != nil || perr != nil || p.Decide(tc.call).Decision != Allow {
			t.Errorf("%+v: %v, %v\n%s", tc.call, err, perr, data)
		}
		for _, other := range append(tc.not, Call{Kind: tc.call.Kind, Tool: "Other", Paths: tc.call.Paths, Host: tc.call.Host}) {
			if p.Decide(other).Decision == Allow {
				t.Errorf("%+v allows %+v", tc.call, other)
			}
		}
	}
}

// FuzzAppend: what is written is what was there, the same rules and one more.
func FuzzAppend(f *testing.F) {
	f.Add([]byte(remarks), "ls; rm -rf /")
	f.Add([]byte("rules:\n- decision: deny\n  message: |\n   # x\n\n  kind: mcp\ndefault: ask"), "\"\n")
	f.Fuzz(func(t *testing.T, data []byte, line string) {
		out, v, err := Append(data, shell(line))
		if err != nil {
			return
		}
		p, err := Parse(out)
		if err != nil || p.Decide(shell(line)) != v || p.Decide(shell(line+"; rm -rf /")) == v {
			t.Errorf("%v, %+v\n%s", err, v, out)
		}
		head := 0
		for head < len(data) && head < len(out) && data[head] == out[head] {
			head++
		}
		if tail := data[head:]; !bytes.HasSuffix(out, tail) {
			t.Errorf("%q became %q", data, out)
		}
	})
}

package permission

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

func shell(command string) Call {
	return Call{Kind: event.KindShell, Tool: "Bash", Command: command}
}

// TestHostileCommands: nothing that runs more than ls may pass for ls.
func TestHostileCommands(t *testing.T) {
	t.Parallel()
	p := Policy{Rules: []Rule{
		{Decision: Deny, Commands: []string{"rm *"}},
		{Decision: Allow, Commands: []string{"ls", "ls *", "git diff *", "wc -l"}},
	}, Default: Ask}
	for command, want := range map[string]Decision{
		"ls":                          Allow,
		"  ls  -l  /etc ":             Allow,
		"ls 'a b' \"c d\"":            Allow,
		"ls && git diff HEAD~1":       Allow,
		"ls -l | wc -l":               Allow,
		"ls\ngit diff":                Allow,
		"ls 2>&1 | wc -l 2>/dev/null": Allow,
		"ls 'a;b' ; ls \"x|y\"":       Allow,
		"l's'":                        Allow, // the shell runs ls, too

		"ls; rm -rf /":             Deny,
		"ls && rm -rf /":           Deny,
		"ls\nrm -rf /":             Deny,
		"ls & rm -rf /":            Deny,
		"ls | xargs rm -rf":        Deny,
		"ls $(rm -rf /)":           Deny,
		"ls `rm -rf /`":            Deny,
		"ls \"$(rm -rf /)\"":       Deny,
		"ls <(rm -rf /)":           Deny,
		"/bin/rm -rf /":            Deny,
		"sudo rm -rf /":            Deny,
		"r''m -rf /":               Deny,
		"r\\m -rf / $x":            Deny,
		"{ rm -rf /; }":            Deny,
		"if rm -rf /; then ls; fi": Deny,

		"":                                   Ask,
		" \n ":                               Ask,
		"ls;":                                Allow,
		"ls;;":                               Ask,
		"ls &&":                              Ask,
		"| ls":                               Ask,
		"ls |":                               Ask,
		"ls; touch x":                        Ask,
		"ls\r\ntouch x":                      Ask,
		"ls > x":                             Ask,
		"ls >/dev/nullx":                     Ask,
		"ls 2>&1x":                           Ask,
		"ls2>&1":                             Ask,
		"ls >> x":                            Ask,
		"ls < x":                             Ask,
		"ls >&x":                             Ask,
		"ls $HOME":                           Ask,
		"ls ${x:=y}":                         Ask,
		"ls *":                               Ask,
		"ls {a,b}":                           Ask,
		"ls ~":                               Ask,
		"ls [a]":                             Ask,
		"ls \\\ntouch x":                     Ask,
		"ls # x":                             Ask,
		"ls 'a":                              Ask,
		"ls \"a":                             Ask,
		"ls \x00touch":                       Ask,
		"ls \xff":                            Ask,
		"X=1 ls":                             Ask,
		"! ls":                               Ask,
		"time ls":                            Ask,
		"ls() { touch x; }":                  Ask,
		"lsx":                                Ask,
		"./ls":                               Ask,
		"/tmp/ls":                            Ask,
		"git":                                Ask,
		"git -c core.pager=x diff":           Ask,
		"wc -l x":                            Ask,
		"ls |& touch x":                      Ask,
		"'ls -l'":                            Ask,
		"ls " + strings.Repeat("a", lineMax): Ask,
	} {
		if got := p.Decide(shell(command)); got.Decision != want {
			t.Errorf("%q is %s by rule %d, want %s", command, got.Decision, got.Rule, want)
		}
	}
}

// TestDecide covers everything but command lines.
func TestDecide(t *testing.T) {
	t.Parallel()
	p := Policy{Rules: []Rule{
		{Decision: Deny, Paths: []string{"**/.env", "/workspace/secret/**"}, Message: "no secrets"},
		{Decision: Allow, Kinds: []event.ToolKind{event.KindRead}},
		{Decision: Allow, Kinds: []event.ToolKind{event.KindEdit}, Paths: []string{"src/**", "*.md"}},
		{Decision: Allow, Hosts: []string{"example.com", "*.golang.org"}},
		{Decision: Allow, Tools: []string{"mcp__github__get_*"}},
	}, Default: Ask}
	edit := func(paths ...string) Call { return Call{Kind: event.KindEdit, Tool: "Edit", Paths: paths} }
	fetch := func(host string) Call { return Call{Kind: event.KindFetch, Tool: "WebFetch", Host: host} }
	for _, test := range []struct {
		call Call
		want Decision
		rule int
	}{
		{edit("src/a.go"), Allow, 3},
		{edit("/workspace/src/deep/a.go"), Allow, 3},
		{edit("src/a.go", "README.md"), Allow, 3},
		{edit("/workspace/README.md"), Allow, 3},
		{edit("src/a.go", "Makefile"), Ask, 0},
		{edit("src/../Makefile"), Ask, 0},
		{edit("src/../../etc/passwd"), Ask, 0},
		{edit("/src/a.go"), Ask, 0},
		{edit("srcx/a.go"), Ask, 0},
		{edit("docs/README.md"), Ask, 0},
		{edit("~/src/a.go"), Ask, 0},
		{edit("src/a\n.go"), Ask, 0},
		{edit(), Ask, 0},
		{edit(""), Ask, 0},
		{edit(".env"), Deny, 1},
		{edit("src/.env"), Deny, 1},
		{edit("src/x/../.env"), Deny, 1},
		{edit("src/a.go", "secret/a"), Deny, 1},
		{Call{Kind: event.KindRead, Paths: []string{"/etc/passwd"}}, Allow, 2},
		{Call{Kind: event.KindRead, Paths: []string{".env"}}, Deny, 1},
		{fetch("example.com"), Allow, 4},
		{fetch("Example.COM."), Allow, 4},
		{fetch("pkg.golang.org"), Allow, 4},
		{fetch("golang.org"), Ask, 0},
		{fetch("evilgolang.org"), Ask, 0},
		{fetch("example.com.evil.net"), Ask, 0},
		{fetch(""), Ask, 0},
		{Call{Kind: event.KindMCP, Tool: "mcp__github__get_issue"}, Allow, 5},
		{Call{Kind: event.KindMCP, Tool: "mcp__github__delete_repo"}, Ask, 0},
		{Call{Kind: event.KindOther, Tool: "Skill"}, Ask, 0},
	} {
		if got := p.Decide(test.call); got.Decision != test.want || got.Rule != test.rule {
			t.Errorf("%+v is %+v, want %s by rule %d", test.call, got, test.want, test.rule)
		}
	}
	if got := AskFirst().Decide(Call{Kind: event.KindRead}); got.Decision != Allow {
		t.Errorf("reading is %+v", got)
	}
	if got := AskFirst().Decide(shell("ls")); got.Decision != Ask {
		t.Errorf("a command is %+v", got)
	}
	if got := (Policy{}).Decide(shell("ls")); got.Decision != Ask {
		t.Errorf("the empty policy says %+v", got)
	}
}

// runs returns the commands that bash runs for a line, each with its words, in a
// world without programs; and whether it touched a file.
func runs(t *testing.T, bash, command string) (all []string, touched bool) {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	work := filepath.Join(dir, "work")
	if err := os.Mkdir(work, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bash, "--norc", "--noprofile", "-c", `exec 9>>"$LOG"; unset LOG
		command_not_found_handle() { local l; printf -v l '%q ' "$@"; echo "$l" >&9; } # in one write
		eval -- "$1"`, "bash", command)
	cmd.Dir = work
	cmd.Env = []string{"PATH=/nonexistent", "LC_ALL=C.UTF-8", "LOG=" + log}
	_ = cmd.Run() // what the line's last command returns
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for l := range bytes.Lines(data) {
		all = append(all, strings.TrimSpace(string(l)))
	}
	left, err := os.ReadDir(work)
	if err != nil {
		t.Fatal(err)
	}
	return all, len(left) > 0
}

// TestPlainLinesRunAsTheyRead compares with a real shell: of a line that counts as
// plain, bash runs no command but those that were found, with exactly their words.
func TestPlainLinesRunAsTheyRead(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash to compare with")
	}
	pieces := []string{
		"xa", "xb", "-x", "if", "xc=", "'", "\"", "\\", "$", "`", "$(xd)", ";", "|", "||", "&", "&&", "\n", " ", " ", "  ",
		"(", ")", "{", "}", "<", ">", ">f", "2>&1", " 2>&1 ", " >/dev/null ", " < /dev/null", "*", "?", "[x]", "~", "!", "#", "=", "xe xf", "'xg h'", "\"xi j\"", "\t", "\r", "é", "%", "^", ",", "@", ":", "+", "1", "2",
	}
	plain := 0
	for i := 0; plain < 120 && i < 200_000; i++ {
		var b strings.Builder
		for range 1 + rand.IntN(9) {
			b.WriteString(pieces[rand.IntN(len(pieces))])
		}
		l := parseLine(b.String())
		// A line of one or two plain words shows little.
		if !l.plain || len(l.commands) == 1 && len(l.commands[0]) < 3 && rand.IntN(8) > 0 {
			continue
		}
		plain++
		checkRuns(t, bash, b.String(), l)
	}
	if plain < 120 {
		t.Errorf("only %d plain lines were tried", plain)
	}
}

func checkRuns(t *testing.T, bash, command string, l line) {
	t.Helper()
	ran, touched := runs(t, bash, command)
	if touched {
		t.Errorf("%q touched a file", command)
	}
	want := map[string]int{}
	for _, words := range l.commands {
		want[quoteAll(t, bash, words)]++
	}
	for _, r := range ran {
		if want[r]--; want[r] < 0 && !isBuiltin(r) {
			t.Errorf("%q ran %q; parsed as %q", command, r, l.commands)
		}
	}
	if len(ran) == 0 && !slices.ContainsFunc(l.commands, func(w []string) bool { return isBuiltin(w[0]) }) {
		t.Errorf("%q ran nothing; parsed as %q", command, l.commands)
	}
}

// isBuiltin reports commands that bash does not look for: its own, and paths.
func isBuiltin(s string) bool {
	return s == ":" || s == "" || strings.HasPrefix(s, "%") || strings.Contains(s, "/")
}

func quoteAll(t *testing.T, bash string, words []string) string {
	t.Helper()
	cmd := exec.Command(bash, append([]string{"--norc", "-c", `printf '%q ' "$@"`, "bash"}, words...)...)
	cmd.Env = []string{"PATH=/nonexistent", "LC_ALL=C.UTF-8"}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// FuzzDecide: nothing panics, and a line that is plain has only words without shell
// syntax outside of quotes.
func FuzzDecide(f *testing.F) {
	for _, s := range []string{"ls; rm -rf /", "ls $(x)", "a 'b' \"c\" && d | e", "ls 2>&1", "x=\n"} {
		f.Add(s)
	}
	p := Policy{Rules: []Rule{{Decision: Deny, Commands: []string{"rm *"}}, {Decision: Allow, Commands: []string{"ls *"}}}}
	f.Fuzz(func(t *testing.T, s string) {
		v := p.Decide(shell(s))
		l := parseLine(s)
		if v.Decision == Allow && (!l.plain || slices.ContainsFunc(l.commands, func(w []string) bool { return w[0] != "ls" })) {
			t.Errorf("%q is allowed", s)
		}
		if l.plain && !strings.ContainsAny(s, `'"`) && strings.ContainsAny(strings.NewReplacer("2>&1", "", "1>&2", "", "&&", "").Replace(s), "$`\\(){}*?[]&") {
			t.Errorf("%q counts as plain", s)
		}
		_ = p.Decide(Call{Kind: event.KindEdit, Paths: []string{s}})
		_ = p.Decide(Call{Kind: event.KindFetch, Host: s})
	})
}

func TestParse(t *testing.T) {
	t.Parallel()
	p, err := Parse([]byte(`# comment
rules:
  - decision: deny
    command: [rm *, "git push *"]
    message: never
  - {decision: allow, kind: [read, search]}
  - decision: allow
    path: src/**
default: deny
`))
	if err != nil {
		t.Fatal(err)
	}
	want := Policy{Rules: []Rule{
		{Decision: Deny, Commands: []string{"rm *", "git push *"}, Message: "never"},
		{Decision: Allow, Kinds: []event.ToolKind{event.KindRead, event.KindSearch}},
		{Decision: Allow, Paths: []string{"src/**"}},
	}, Default: Deny}
	if got := fmt.Sprintf("%+v", p); got != fmt.Sprintf("%+v", want) {
		t.Errorf("read %s", got)
	}
	j, err := Parse([]byte(`{"rules": [{"decision": "allow", "host": "*.example.com"}]}`))
	if err != nil || len(j.Rules) != 1 || j.Rules[0].Hosts[0] != "*.example.com" {
		t.Errorf("JSON: %+v, %v", j, err)
	}
	if p, err := Parse([]byte("rules: []")); err != nil || p.Decide(shell("ls")).Decision != Ask {
		t.Errorf("no rules: %+v, %v", p, err)
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":         "empty",
		"[]":       "line 1: a mapping",
		"rules: x": `line 1: "rules" is no list`,
		"rule: []": `line 1: unknown field "rule"; there are default, rules`,
		"rules:\n  - decision: allow\n    commnad: ls":                 `line 3: unknown field "commnad"`,
		"rules:\n  - decision: alow":                                   `line 2: decision "alow" is none of`,
		"rules:\n  - kind: shell":                                      "line 2: a rule needs a decision",
		"rules:\n  - decision: allow\n    kind: shel":                  `line 2: unknown kind "shel"`,
		"rules:\n  - decision: allow\n    kind: []":                    `line 3: "kind" is an empty list`,
		"rules:\n  - decision: allow\n    command: 5":                  `line 3: "command" has to be a text`,
		"rules:\n  - decision: allow\n    command: [ls, {a: b}]":       `line 3: "command" has to be a text`,
		"rules:\n  - decision: allow\n    kind: edit\n    command: ls": "never matches",
		"rules:\n  - decision: allow\n    message: x":                  "a message goes with",
		"rules:\n  - decision: allow\n    host: https://x.com":         "is no host name",
		"rules:\n  - decision: allow\n    decision: deny":              "decision",
		"default: maybe":            `line 1: decision "maybe"`,
		"rules: []\n---\nrules: []": "",
		"rules: [*a]":               "a",
		"rules:\n\t- x":             "L2",
	} {
		if _, err := Parse([]byte(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", in, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("rules:\n  - decision: allow\n    command: ls\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, err := Parse(data); err == nil {
			_ = p.Decide(shell("ls"))
		}
	})
}

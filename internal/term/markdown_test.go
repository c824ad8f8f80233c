package term

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// sample is what models write, and what breaks renderers.
const sample = "# What was wrong\n\n" +
	"The parser took **every line** for a comment; see `parse.go:42`, [the rule](https://example.com/rule) and *nothing* else. snake_case_name, 2 * 3 * 4 and \\*stars\\* stay.\n\n" +
	"1. first, with a long text that has to go on in the next row of a narrow terminal\n" +
	"   - nested **bold with `code`** inside\n" +
	"- [x] done ~~not~~\n\n" +
	"> quoted text that is long enough to be wrapped on a terminal of forty cells, or of eighty\n\n" +
	"```go\nfunc main() {\n\tfmt.Println(\"**not bold**\")\n}\n```\n" +
	"```diff\n-old\n+new\n```\n\n" +
	"| File | Lines | What it does |\n|:-----|------:|---|\n| `parse.go` | 120 | reads **all** of it, and says where it went wrong |\n| a\\|b | 7 | 世界 |\n\n" +
	"---\nunclosed **bold and `code and [link](\n" +
	"```\nunclosed fence"

// showText shows a message in pieces of n characters.
func showText(o Options, message string, n int) string {
	var out strings.Builder
	o.Out.W, o.Err.W = &out, &out
	o.Live = false
	p := New(o)
	for text := []rune(message); len(text) > 0; text = text[min(n, len(text)):] {
		p.Event(time.Time{}, event.MessageDelta{ID: "m", Text: string(text[:min(n, len(text))])})
	}
	p.Event(time.Time{}, event.Message{ID: "m", Role: "assistant", Text: message})
	p.Close()
	return out.String()
}

func TestMarkdownGolden(t *testing.T) {
	t.Parallel()
	for _, width := range []int{40, 80, 200} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			t.Parallel()
			got := showText(terminal(width, true), sample, 1000)
			golden(t, fmt.Sprintf("markdown-%d.raw", width), readable(got))
			golden(t, fmt.Sprintf("markdown-%d.screen", width), screen(t, got, width))
			golden(t, fmt.Sprintf("markdown-%d-no-color.screen", width), screen(t, showText(terminal(width, false), sample, 1000), width))
		})
	}
}

func TestLogKeepsMarkdownAsItIs(t *testing.T) {
	t.Parallel()
	want := "  " + strings.ReplaceAll(strings.ReplaceAll(sample, "\n", "\n  "), "\n  \n", "\n\n") + "\n\n"
	if diff := cmp.Diff(want, showText(Options{}, sample, 5)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestInline(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a **b** c":                  "a <1>b</> c",
		"a __b__ c":                  "a <1>b</> c",
		"a *b* _c_":                  "a <3>b</> <3>c</>",
		"***a***":                    "<1;3>a</>",
		"**a *b* c**":                "<1>a</><1> </><1;3>b</><1> c</>",
		"~~a~~ ~b~":                  "<9>a</> ~b~",
		"`a*b*` ``c`d``":             "<36>a*b*</> <36>c`d</>",
		"**a `**` b**":               "<1>a </><1;36>**</><1> b</>",
		"snake_case_x 2*3*4 * a * b": "snake_case_x 2*3*4 * a * b",
		"\\*a\\* \\d":                "*a* \\d",
		"[a](http://b)":              "<4>a</><2> (http://b)</>",
		"[http://b](http://b)":       "<4>http://b</>",
		"![a](b.png)":                "<4>a</><2> (b.png)</>",
		"[`a`](b) [x] ![":            "<4;36>a</><2> (b)</> [x] ![",
		"**open `open [open](":       "**open `open [open](",
		"a**b**c":                    "a<1>b</>c",
		"** a **":                    "** a **",
		"*":                          "*",
	} {
		segs, rest, _ := inline(in, 0, true, true, plain)
		if rest != "" {
			t.Errorf("inline(%q) leaves %q", in, rest)
		}
		got := strings.NewReplacer("\x1b[0m", "</>", "\x1b[", "<").Replace(render(segs, true))
		got = regexp.MustCompile(`<([0-9;]+)m`).ReplaceAllString(got, "<$1>")
		if strings.ReplaceAll(got, "</><1> ", " ") != strings.ReplaceAll(want, "</><1> ", " ") {
			t.Errorf("inline(%q) = %q, want %q", in, got, want)
		}
	}
}

// However a message is cut into pieces, the same is shown; and it stays in its
// place, whatever it is.
func FuzzMarkdown(f *testing.F) {
	f.Add(sample, 3, 40)
	f.Add("|a|b|\n|-|-|\n|`x|y`|\x1b[2K✓|", 1, 20)
	f.Add("- \n* *\n#\n>\n1.\n---\n___\n```x`\n~~~\n", 2, 30)
	f.Add("[a](b", 1, 20)
	f.Add("**"+strings.Repeat("x", 999)+"**"+strings.Repeat("[", 2000), 7, 25)
	f.Fuzz(func(t *testing.T, s string, n, width int) {
		width = minWidth + max(width, 0)%200
		n = max(n, 1)
		s = string([]rune(s))
		whole := showText(terminal(width, true), s, len(s)+1)
		if diff := cmp.Diff(whole, showText(terminal(width, true), s, n)); diff != "" {
			t.Fatalf("in pieces of %d (-whole +pieces):\n%s", n, diff)
		}
		plain := sgr.ReplaceAllString(whole, "")
		for line := range strings.SplitSeq(plain, "\n") {
			if cells(line) >= width || line != "" && !strings.HasPrefix(line, indent) || strings.Contains(line, "\x1b") {
				t.Fatalf("line %q at width %d", line, width)
			}
		}
	})
}

var sgr = regexp.MustCompile(`\x1b\[[0-9;]*m`)

package term

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTable(t *testing.T) {
	t.Parallel()
	head := []string{"TASK", "STATE", "EMPTY", "TITLE", "NOTE"}
	rows := func() [][]Cell {
		return [][]Cell{
			{{Text: "aaaa"}, {Text: "succeeded", Level: OK}, {}, {Text: "日本語 and\x1b[31m more words\nof it"}, {}},
			{{Text: "bbbb"}, {Text: "failed", Level: Fail}, {}, {Text: "x"}, {Text: "no runner has the workspace"}},
		}
	}
	for name, tc := range map[string]struct {
		stream Stream
		width  int
		want   string
	}{
		"a file": {Stream{}, 20, `
TASK  STATE      TITLE                        NOTE
aaaa  succeeded  日本語 and more words of it
bbbb  failed     x                            no runner has the workspace
`},
		"a narrow terminal": {Stream{Terminal: true}, 50, `
TASK  STATE      TITLE             NOTE
aaaa  succeeded  日本語 and more…
bbbb  failed     x                 no runner has…
`},
		"too narrow": {Stream{Terminal: true}, 10, `
TASK  STATE     TITLE     NOTE
aaaa  succeed…  日本語…
bbbb  failed    x         no runn…
`},
		"colours": {Stream{Terminal: true, Color: true}, 100, strings.ReplaceAll(`
<2mTASK<0m  <2mSTATE<0m      <2mTITLE<0m                        <2mNOTE<0m
aaaa  <32msucceeded<0m  日本語 and more words of it
bbbb  <31mfailed<0m     x                            no runner has the workspace
`, "<", "\x1b[")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b strings.Builder
			tc.stream.W = &b
			if err := Table(tc.stream, tc.width, head, rows()...); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(strings.TrimPrefix(tc.want, "\n"), b.String()); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// What is to be typed is not cut while it is no longer than ids and commands are.
func TestTableWhole(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	row := Cells("3a608e2eb306", "a title that is long", "inbox dismiss 3a608e2eb306", strings.Repeat("x", 50))
	for _, i := range []int{0, 2, 3} {
		row[i].Whole = true
	}
	if err := Table(Stream{W: &b, Terminal: true}, 30, []string{"TASK", "TITLE", "NEXT", "NAME"}, row); err != nil {
		t.Fatal(err)
	}
	want := "TASK          TITLE     NEXT                        NAME\n" +
		"3a608e2eb306  a title…  inbox dismiss 3a608e2eb306  " + strings.Repeat("x", 39) + "…\n"
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

package term

import (
	"io"
	"strings"
)

// Level says how much a line of a report matters.
type Level string

// The levels.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Fail Level = "fail"
)

// Check is one line of a report: what was looked at and what was found, for
// hostile text as well. Remedy, if any, goes below it.
type Check struct {
	Level              Level
	Name, What, Remedy string
}

// levelWidth is that of the first column.
const levelWidth = 5

// Columns is the width in cells by which a report is wrapped.
func (o Options) Columns() int { return (&Printer{o: o}).width() }

// Report prints checks as a table, whose names are at most nameWidth cells
// wide. width is the terminal's, in cells; text is wrapped there.
func Report(s Stream, width, nameWidth int, checks ...Check) {
	var b strings.Builder
	styles := map[Level]style{OK: green, Warn: yellow, Fail: red}
	indent := levelWidth + nameWidth + 2
	for _, c := range checks {
		b.WriteString(seg{styles[c.Level], pad(string(c.Level), levelWidth)}.render(s.Color))
		b.WriteString(pad(Line(c.Name), nameWidth+2))
		b.WriteString(column(s, width, indent, plain, c.What))
		if c.Remedy != "" {
			b.WriteString(strings.Repeat(" ", indent) + column(s, width, indent, cyan, c.Remedy))
		}
	}
	_, _ = io.WriteString(s.W, b.String())
}

// column is text in lines that begin at indent, the first without its blanks.
func column(s Stream, width, indent int, st style, text string) string {
	rows := []string{fit(Line(text), lineMax)}
	if s.Terminal {
		rows = wrap(rows[0], max(width-indent-1, minWidth))
	}
	for i, row := range rows {
		rows[i] = seg{st, row}.render(s.Color)
	}
	return strings.Join(rows, "\n"+strings.Repeat(" ", indent)) + "\n"
}

func pad(s string, width int) string { return s + strings.Repeat(" ", max(width-cells(s), 0)) }

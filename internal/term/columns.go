package term

import (
	"io"
	"strings"
)

const (
	// columnMin is what no column of a table is cut below, in cells.
	columnMin = 8
	// wholeMax is likewise for what a person types: more than ids and commands have.
	wholeMax = 40
)

// Cell is one field of a table. Text may be anything; Level colours it. Whole is what a
// person types somewhere else, which is of no use when it is cut.
type Cell struct {
	Text  string
	Level Level
	Whole bool
}

// Cells are plain fields.
func Cells(texts ...string) []Cell {
	row := make([]Cell, len(texts))
	for i, t := range texts {
		row[i].Text = t
	}
	return row
}

// Table prints rows of the same length below a head, in columns, without those that no
// row fills. On a terminal of so many cells, the widest columns are cut until a row
// fits; elsewhere nothing is.
func Table(s Stream, width int, head []string, rows ...[]Cell) error {
	filled := make([]bool, len(head))
	for _, row := range rows {
		for i, c := range row {
			filled[i] = filled[i] || Line(c.Text) != ""
		}
	}
	all := [][]Cell{Cells(head...)}
	all = append(all, rows...)
	widths, least := make([]int, len(head)), make([]int, len(head))
	for n, row := range all {
		all[n] = nil
		for i, c := range row {
			if filled[i] {
				c.Text = Line(c.Text)
				to, w := len(all[n]), cells(c.Text)
				widths[to], least[to] = max(widths[to], w), max(least[to], columnMin)
				if c.Whole {
					least[to] = max(least[to], min(w, wholeMax))
				}
				all[n] = append(all[n], c)
			}
		}
	}
	widths = widths[:len(all[0])]
	if s.Terminal {
		narrow(widths, least, width)
	}
	styles := map[Level]style{OK: green, Warn: yellow, Fail: red}
	var b strings.Builder
	for n, row := range all {
		var line []seg
		for i, c := range row {
			st := styles[c.Level]
			if n == 0 {
				st = dim
			}
			text := fit(c.Text, widths[i])
			line = append(line, seg{st, text}, seg{plain, strings.Repeat(" ", widths[i]-cells(text)+tableGap)})
		}
		b.WriteString(trimRight(line, s.Color) + "\n")
	}
	_, err := io.WriteString(s.W, b.String())
	return err
}

// trimRight renders a row without the blanks at its end.
func trimRight(line []seg, color bool) string {
	for len(line) > 0 && strings.TrimSpace(line[len(line)-1].text) == "" {
		line = line[:len(line)-1]
	}
	return render(line, color)
}

// narrow makes the widest columns narrower, none below its least width, until all fit.
func narrow(widths, least []int, most int) {
	total := tableGap * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	for ; total > most; total-- {
		widest := -1
		for i, w := range widths {
			if w > least[i] && (widest < 0 || w >= widths[widest]) { // of two, the one further right
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		widths[widest]--
	}
}

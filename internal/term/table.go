package term

import (
	"slices"
	"strings"
)

const (
	tableGap = 2 // cells between two columns
	cellMin  = 6 // cells that a column is not made narrower than
)

// cell is styled text.
type cell []seg

// columnsOf reads the line below a table's head: for each column, whether it is
// aligned to the right. nil: it is no such line.
func columnsOf(line string) []bool {
	var right []bool
	for _, c := range cellsOf(line) {
		if strings.Trim(c, ":-") != "" || !strings.Contains(c, "-") {
			return nil
		}
		right = append(right, strings.HasSuffix(c, ":") && !strings.HasPrefix(c, ":"))
	}
	return right
}

// cellsOf splits a row at the bars that are not escaped and not inside of code.
func cellsOf(line string) []string {
	line = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(line), "|"), "|")
	var out []string
	start, quoted := 0, false
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case '\\':
			i++
		case '`':
			quoted = !quoted && strings.Contains(line[i+1:], "`")
		case '|':
			if !quoted {
				out = append(out, strings.TrimSpace(line[start:i]))
				start = i + 1
			}
		}
	}
	return append(out, strings.TrimSpace(line[start:]))
}

// showTable shows rows, the first of which is the head; false if they are no
// table, or it does not fit.
func showTable(t *text, b *strings.Builder, rows []string) bool {
	if len(rows) < 2 {
		return false
	}
	right := columnsOf(rows[1])
	if right == nil || len(cellsOf(rows[0])) != len(right) {
		return false
	}
	var table [][]cell
	for i, row := range rows {
		if i == 1 {
			continue
		}
		base := plain
		if i == 0 {
			base = bold
		}
		line := make([]cell, len(right))
		for j, c := range cellsOf(row) {
			if j < len(line) { // the head says how many there are
				line[j], _, _ = inline(c, 0, true, t.color, base)
			}
		}
		table = append(table, line)
	}
	widths := columnWidths(table, len(right), t.width-len(indent))
	if widths == nil {
		return false
	}
	for i, line := range table {
		tableLine(t, b, line, widths, right)
		if i == 0 {
			rule := make([]cell, len(widths))
			for j, w := range widths {
				rule[j] = cell{{dim, strings.Repeat("─", w)}}
			}
			tableLine(t, b, rule, widths, right)
		}
	}
	return true
}

// columnWidths makes the widest columns narrower until all fit; nil if they
// cannot.
func columnWidths(table [][]cell, n, room int) []int {
	widths := make([]int, n)
	for _, line := range table {
		for i, c := range line {
			widths[i] = max(widths[i], c.width(), 1)
		}
	}
	total := (n - 1) * tableGap
	for _, w := range widths {
		total += w
	}
	for ; total > room; total-- {
		widest := slices.Max(widths)
		if widest <= cellMin {
			return nil
		}
		widths[slices.Index(widths, widest)]--
	}
	return widths
}

// tableLine shows one line of a table, in as many rows as its cells need.
func tableLine(t *text, b *strings.Builder, line []cell, widths []int, right []bool) {
	wrapped := make([][]cell, len(line))
	rows := 1
	for i, c := range line {
		wrapped[i] = c.wrap(widths[i])
		rows = max(rows, len(wrapped[i]))
	}
	for r := range rows {
		var segs []seg
		gap := 0
		for i, cell := range wrapped {
			var c []seg
			pad := widths[i]
			if r < len(cell) {
				c, pad = cell[r], widths[i]-cell[r].width()
			}
			if right[i] {
				gap, pad = gap+pad, 0
			}
			if len(c) > 0 {
				segs = append(append(segs, seg{plain, strings.Repeat(" ", gap)}), c...)
				gap = 0
			}
			gap += pad + tableGap
		}
		t.row(b, segs)
		t.newline(b)
	}
}

func (c cell) width() int {
	n := 0
	for _, s := range c {
		n += cells(s.text)
	}
	return n
}

// wrap breaks a cell into rows of at most width cells, between words if it can.
func (c cell) wrap(width int) []cell {
	var rows []cell
	var row, word cell
	flush := func() {
		if len(row) > 0 && row.width()+1+word.width() > width {
			rows, row = append(rows, row), nil
		}
		if len(row) > 0 {
			row = append(row, seg{plain, " "})
		}
		for _, s := range word {
			for row.width()+cells(s.text) > width {
				head, tail := split(s.text, width-row.width())
				if head == "" && len(row) == 0 {
					break // not even one character fits
				}
				rows, row, s.text = append(rows, append(row, seg{s.style, head})), nil, tail
			}
			row = append(row, s)
		}
		word = nil
	}
	for _, s := range c {
		for i, part := range strings.Split(s.text, " ") {
			if i > 0 && len(word) > 0 {
				flush()
			}
			if part != "" {
				word = append(word, seg{s.style, part})
			}
		}
	}
	if len(word) > 0 {
		flush()
	}
	return append(rows, row)
}

package term

import "strings"

// The agent's messages are Markdown, and arrive in pieces. What cannot be known
// yet is held back, and nothing that was shown is ever taken back: the words of a
// paragraph are shown as they come, emphasis and code when their ends are there,
// a table when it is complete. Without colour there is no style to show emphasis
// by, so that all marks stay; tables are laid out and lists hang all the same.
//
// It is what models write of Markdown, not all of CommonMark: emphasis ends on
// its line, and what is not understood is shown as it was written.

const (
	// holdMax is how many bytes are held back for the end of emphasis, code or a
	// link; beyond, the mark is text.
	holdMax = 1000
	// tableMax is how many bytes of a table are held back; beyond, they are text.
	tableMax = 64 << 10
)

// lineKind is what a line of Markdown is.
type lineKind int

const (
	undecided lineKind = iota
	prose
	code
	fenceMark // opens or closes code
	tableRow
	ruler
)

// markdown is the state between two pieces. The zero value is ready.
type markdown struct {
	line  string // what of the current line is not shown
	kind  lineKind
	base  style    // of the line
	prev  rune     // the character before line
	fence string   // that the code ends with; "" outside of code
	diff  bool     // the code is a diff
	table []string // rows held back
	size  int      // bytes of them
}

// add takes a piece of text without control characters.
func (m *markdown) add(t *text, b *strings.Builder, piece string) {
	for {
		head, tail, ended := strings.Cut(piece, "\n")
		m.line += head
		m.advance(t, b, ended)
		if !ended {
			return
		}
		piece = tail
	}
}

// finish shows what is held back.
func (m *markdown) finish(t *text, b *strings.Builder) {
	if m.line != "" {
		m.advance(t, b, true)
	}
	m.flushTable(t, b)
}

// advance shows what can be shown of the line; all of it, if it has ended.
func (m *markdown) advance(t *text, b *strings.Builder, ended bool) {
	if m.kind == undecided {
		m.begin(t, b, ended)
	}
	switch {
	case m.kind == prose:
		var segs []seg
		segs, m.line, m.prev = inline(m.line, m.prev, ended, t.color, m.base)
		for _, s := range segs {
			t.put(b, s.style, s.text)
		}
	case m.kind == code:
		t.put(b, m.base, m.line)
		m.line = ""
	case !ended:
		return
	case m.kind == fenceMark:
		m.fenceLine(t, b)
	case m.kind == tableRow:
		m.table, m.size = append(m.table, m.line), m.size+len(m.line)
		if len(m.table) == 2 && columnsOf(m.table[1]) == nil || m.size > tableMax {
			m.flushTable(t, b)
		}
	case m.kind == ruler:
		t.row(b, []seg{{dim, strings.Repeat("─", min(t.width-len(indent), 40))}})
	}
	if !ended {
		return
	}
	if m.kind != tableRow && m.kind != fenceMark || m.kind == fenceMark && !t.color {
		t.newline(b)
	}
	m.kind, m.line, m.base, m.prev = undecided, "", plain, 0
}

// begin decides what the line is, if that can be known, and shows its mark.
func (m *markdown) begin(t *text, b *strings.Builder, ended bool) {
	body := strings.TrimLeft(m.line, " \t")
	pad := m.line[:len(m.line)-len(body)]
	var mark int
	switch {
	case m.fence != "":
		m.kind = codeLine(body, m.fence, ended || len(pad) > holdMax)
	case len(pad) > holdMax:
		m.kind = prose
	default:
		m.kind, mark = classify(body, ended)
	}
	if m.kind == undecided {
		return
	}
	if m.kind != tableRow {
		m.flushTable(t, b)
	}
	switch {
	case m.kind == code:
		m.base = codeStyle(m.line, m.diff)
		if t.color {
			t.put(b, plain, indent)
			pad += indent
		}
		t.hang = hang(pad, t.width)
	case mark > 0:
		m.line = body[mark:]
		m.mark(t, b, pad, body[:mark])
	case m.kind == prose:
		t.hang = hang(pad, t.width)
	}
}

// mark shows what a heading, an item or a quotation begins with.
func (m *markdown) mark(t *text, b *strings.Builder, pad, mark string) {
	first, st := mark, plain
	switch mark[0] {
	case '#':
		m.base = bold
		if first = ""; !t.color {
			first = mark
		}
	case '>':
		m.base, st = dim, dim
		first = "│ "
	case '-', '*', '+':
		if st = cyan; t.color {
			first = "• "
		}
	default:
		st = cyan
	}
	t.put(b, plain, pad)
	t.put(b, st, first)
	t.hang = hang(pad+first, t.width)
	if mark[0] == '>' {
		t.hang = seg{dim, "│ "}
	}
	m.prev = ' '
}

// hang is as many blanks as lead has cells, but leaves room for text.
func hang(lead string, width int) seg {
	n := cells(lead) + (tabStop-1)*strings.Count(lead, "\t")
	return seg{plain, strings.Repeat(" ", min(n, width/2))}
}

// fenceLine takes a line that opens or closes code.
func (m *markdown) fenceLine(t *text, b *strings.Builder) {
	if !t.color {
		t.put(b, plain, m.line)
	}
	if m.fence != "" {
		m.fence = ""
		return
	}
	body := strings.TrimSpace(m.line)
	n := run(body)
	m.fence, m.diff = body[:n], strings.TrimSpace(body[n:]) == "diff"
}

func (m *markdown) flushTable(t *text, b *strings.Builder) {
	rows := m.table
	m.table, m.size = nil, 0
	if showTable(t, b, rows) {
		return
	}
	for _, row := range rows {
		segs, _, _ := inline(row, 0, true, t.color, plain)
		for _, s := range segs {
			t.put(b, s.style, s.text)
		}
		t.newline(b)
	}
}

// codeStyle is the style of a line of code.
func codeStyle(line string, diff bool) style {
	switch {
	case !diff:
		return cyan
	case strings.HasPrefix(line, "+"):
		return green
	case strings.HasPrefix(line, "-"):
		return red
	case strings.HasPrefix(line, "@"):
		return cyan
	}
	return plain
}

// run is how often the first character of s is repeated.
func run(s string) int { return len(s) - len(strings.TrimLeft(s, s[:1])) }

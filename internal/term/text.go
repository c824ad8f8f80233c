package term

import "strings"

const tabStop = 4

// text lays the agent's text out as it arrives, in pieces of any size. Every line
// is indented; on a terminal, words that do not fit go to the next line.
type text struct {
	clean Sanitizer
	open  bool   // a line is begun on the screen
	col   int    // cells of it that are used, the indent included
	blank string // blanks after them, shown before the next word
	word  string // of the terminal's line; shown when it is complete
	lines int    // line breaks that are shown before anything else
	began bool   // something was shown since the last finishText
}

// addText shows a piece of text.
func (p *Printer) addText(piece string) {
	t := &p.text
	piece = t.clean.Add(piece)
	if !t.began {
		piece = strings.TrimLeft(piece, "\n")
		if strings.TrimSpace(piece) == "" {
			return
		}
		p.startText()
	}
	var b strings.Builder
	width := 0
	if p.o.Out.Terminal {
		width = p.width()
	}
	for _, r := range piece {
		switch r {
		case '\n':
			t.flushWord(&b, width)
			t.blank, t.lines = "", t.lines+1
		case ' ', '\t':
			t.flushWord(&b, width)
			t.space(r, width)
		default:
			t.word += string(r)
			// A word that is wider than the line need not be complete.
			if width > 0 && len(t.word) >= width && cells(t.word) >= width-len(indent) {
				t.flushWord(&b, width)
			}
		}
	}
	if width == 0 {
		t.flushWord(&b, width)
	}
	p.write(&p.o.Out, b.String())
}

func (p *Printer) startText() {
	if p.prev == blockLine {
		p.write(&p.o.Out, "\n")
	}
	p.prev = blockText
	p.text.began = true
}

func (t *text) space(r rune, width int) {
	if r != '\t' || width == 0 {
		t.blank += string(r)
		return
	}
	col := t.col - len(indent)
	if !t.open || t.lines > 0 {
		col = 0
	}
	t.blank += strings.Repeat(" ", tabStop-(col+len(t.blank))%tabStop)
}

// flushWord shows the word with what stands before it. Width 0 does not wrap.
func (t *text) flushWord(b *strings.Builder, width int) {
	if t.word == "" {
		return
	}
	if t.open && t.lines > 0 {
		b.WriteByte('\n')
		t.open = false
		t.lines--
	}
	for ; t.lines > 0; t.lines-- {
		b.WriteByte('\n')
	}
	n := cells(t.word)
	if t.open && width > 0 && t.col+len(t.blank)+n > width {
		b.WriteByte('\n')
		t.open, t.blank = false, ""
	}
	t.begin(b, width)
	for width > 0 && t.col+n > width {
		head, tail := split(t.word, width-t.col)
		if head == "" {
			break
		}
		b.WriteString(head)
		b.WriteByte('\n')
		t.open = false
		t.word, n = tail, cells(tail)
		t.begin(b, width)
	}
	b.WriteString(t.word)
	t.col += n
	t.word = ""
}

// begin indents a new line and shows the blanks.
func (t *text) begin(b *strings.Builder, width int) {
	if !t.open {
		b.WriteString(indent)
		t.open, t.col = true, len(indent)
	}
	if width > 0 && t.col+len(t.blank) >= width {
		t.blank = ""
	}
	b.WriteString(t.blank)
	t.col += len(t.blank)
	t.blank = ""
}

// finishText ends the text: the next line is the program's, or another text's.
func (p *Printer) finishText() {
	t := &p.text
	var b strings.Builder
	width := 0
	if p.o.Out.Terminal {
		width = p.width()
	}
	t.flushWord(&b, width)
	if t.open {
		b.WriteByte('\n')
	}
	*t = text{}
	p.write(&p.o.Out, b.String())
}

package term

import "strings"

const tabStop = 4

// text lays the agent's text out as it arrives, in pieces of any size. Every line
// is indented; on a terminal, words that do not fit go to the next line.
type text struct {
	clean Sanitizer
	md    markdown
	width int    // cells of a line; 0 does not wrap
	color bool   // styles are shown
	open  bool   // a line is begun on the screen
	col   int    // cells of it that are used, the indent included
	blank string // blanks after them, shown before the next word
	word  []seg  // of the terminal's line; shown when it is complete
	used  int    // cells of word
	hang  seg    // begins the rows after the first of a line
	broke bool   // the next row is such a row
	lines int    // line breaks that are shown before anything else
	early string // blanks before anything that is shown
	began bool   // something was shown since the last finishText
}

// addText shows a piece of text.
func (p *Printer) addText(piece string) {
	t := &p.text
	piece = t.clean.Add(piece)
	if !t.began {
		piece = strings.TrimLeft(t.early+piece, "\n")
		if strings.TrimSpace(piece) == "" {
			t.early = piece[:min(len(piece), holdMax)]
			return
		}
		p.startText()
	}
	var b strings.Builder
	p.measure()
	if t.width > 0 {
		t.md.add(t, &b, piece)
	} else {
		t.put(&b, plain, piece)
		t.flushWord(&b)
	}
	p.write(&p.o.Out, b.String())
}

// measure asks how wide the terminal is now.
func (p *Printer) measure() {
	if p.text.width = 0; p.o.Out.Terminal {
		p.text.width = p.width()
	}
	p.text.color = p.o.Out.Color
}

func (p *Printer) startText() {
	if p.prev == blockLine {
		p.write(&p.o.Out, "\n")
	}
	p.prev = blockText
	p.text.began = true
}

// put takes more text in one style.
func (t *text) put(b *strings.Builder, st style, s string) {
	for _, r := range s {
		switch r {
		case '\n':
			t.newline(b)
		case ' ', '\t':
			t.flushWord(b)
			t.space(r)
		default:
			if n := len(t.word); n > 0 && t.word[n-1].style == st {
				t.word[n-1].text += string(r)
			} else {
				t.word = append(t.word, seg{st, string(r)})
			}
			t.used += runeWidth(r)
			// A word that is wider than the line need not be complete.
			if t.width > 0 && t.used >= t.width-len(indent) {
				t.flushWord(b)
			}
		}
	}
}

func (t *text) newline(b *strings.Builder) {
	t.flushWord(b)
	t.blank, t.lines = "", t.lines+1
	t.hang = seg{}
}

func (t *text) space(r rune) {
	if r != '\t' || t.width == 0 {
		t.blank += string(r)
		return
	}
	col := t.col - len(indent)
	if !t.open || t.lines > 0 {
		col = 0
	}
	t.blank += strings.Repeat(" ", tabStop-(col+len(t.blank))%tabStop)
}

// flushWord shows the word with what stands before it.
func (t *text) flushWord(b *strings.Builder) {
	if len(t.word) == 0 {
		return
	}
	t.breakLines(b)
	if t.open && t.width > 0 && t.col+len(t.blank)+t.used > t.width {
		t.wrap(b)
		t.blank = ""
	}
	t.begin(b)
	for _, s := range t.word {
		for n := cells(s.text); t.width > 0 && t.col+n > t.width; n = cells(s.text) {
			head, tail := split(s.text, t.width-t.col)
			if head == "" && t.col <= len(indent)+cells(t.hang.text) {
				break // not even one character fits
			}
			b.WriteString(seg{s.style, head}.render(t.color))
			t.wrap(b)
			t.begin(b)
			s.text = tail
		}
		b.WriteString(s.render(t.color))
		t.col += cells(s.text)
	}
	t.word, t.used = t.word[:0], 0
}

// breakLines shows the line breaks that wait.
func (t *text) breakLines(b *strings.Builder) {
	if t.lines == 0 {
		return
	}
	b.WriteString(strings.Repeat("\n", t.lines))
	t.lines = 0
	t.open, t.broke = false, false
}

// wrap goes on in the next row of the same line.
func (t *text) wrap(b *strings.Builder) {
	b.WriteByte('\n')
	t.open, t.broke = false, true
}

// begin indents a new row and shows the blanks.
func (t *text) begin(b *strings.Builder) {
	if !t.open {
		b.WriteString(indent)
		t.open, t.col = true, len(indent)
		if t.broke {
			b.WriteString(t.hang.render(t.color))
			t.col += cells(t.hang.text)
		}
	}
	if t.width > 0 && t.col+len(t.blank) >= t.width {
		t.blank = ""
	}
	b.WriteString(t.blank)
	t.col += len(t.blank)
	t.blank = ""
}

// row shows a whole row that fits.
func (t *text) row(b *strings.Builder, segs []seg) {
	t.flushWord(b)
	t.breakLines(b)
	t.begin(b)
	for _, s := range segs {
		b.WriteString(s.render(t.color))
		t.col += cells(s.text)
	}
}

// finishText ends the text: the next line is the program's, or another text's.
func (p *Printer) finishText() {
	t := &p.text
	var b strings.Builder
	p.measure()
	t.md.finish(t, &b)
	t.flushWord(&b)
	if t.open {
		b.WriteByte('\n')
	}
	*t = text{}
	p.write(&p.o.Out, b.String())
}

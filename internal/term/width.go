package term

import (
	"strings"
	"unicode"
)

// wide lists what takes two cells, generously: a line that is taken for longer
// than it is wraps early, one that is taken for shorter wraps in the terminal.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x1100, Hi: 0x115f, Stride: 1},
		{Lo: 0x231a, Hi: 0x231b, Stride: 1},
		{Lo: 0x2329, Hi: 0x232a, Stride: 1},
		{Lo: 0x23e9, Hi: 0x23f3, Stride: 1},
		{Lo: 0x25fd, Hi: 0x25fe, Stride: 1},
		{Lo: 0x2614, Hi: 0x2615, Stride: 1},
		{Lo: 0x2630, Hi: 0x2637, Stride: 1},
		{Lo: 0x2648, Hi: 0x2653, Stride: 1},
		{Lo: 0x267f, Hi: 0x2693, Stride: 1},
		{Lo: 0x26a1, Hi: 0x26fd, Stride: 1},
		{Lo: 0x2705, Hi: 0x2705, Stride: 1},
		{Lo: 0x270a, Hi: 0x270b, Stride: 1},
		{Lo: 0x2728, Hi: 0x2728, Stride: 1},
		{Lo: 0x274c, Hi: 0x274e, Stride: 1},
		{Lo: 0x2753, Hi: 0x2757, Stride: 1},
		{Lo: 0x2795, Hi: 0x2797, Stride: 1},
		{Lo: 0x27b0, Hi: 0x27bf, Stride: 1},
		{Lo: 0x2b1b, Hi: 0x2b1c, Stride: 1},
		{Lo: 0x2b50, Hi: 0x2b55, Stride: 1},
		{Lo: 0x2e80, Hi: 0xa4cf, Stride: 1},
		{Lo: 0xa960, Hi: 0xa97f, Stride: 1},
		{Lo: 0xac00, Hi: 0xd7a3, Stride: 1},
		{Lo: 0xf900, Hi: 0xfaff, Stride: 1},
		{Lo: 0xfe10, Hi: 0xfe19, Stride: 1},
		{Lo: 0xfe30, Hi: 0xfe6f, Stride: 1},
		{Lo: 0xff00, Hi: 0xff60, Stride: 1},
		{Lo: 0xffe0, Hi: 0xffe6, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x16fe0, Hi: 0x1b2ff, Stride: 1},
		{Lo: 0x1d300, Hi: 0x1d376, Stride: 1},
		{Lo: 0x1f000, Hi: 0x1faff, Stride: 1},
		{Lo: 0x20000, Hi: 0x3fffd, Stride: 1},
	},
}

// runeWidth is how many cells r takes.
func runeWidth(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case unicode.Is(wide, r):
		return 2
	}
	return 1
}

func cells(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

// fit cuts s to at most width cells and marks the cut.
func fit(s string, width int) string {
	if cells(s) <= width {
		return s
	}
	head, _ := split(s, width-1)
	return strings.TrimRight(head, " ") + "…"
}

// fitEnd is fit that keeps the end of s.
func fitEnd(s string, width int) string {
	n := cells(s)
	if n <= width {
		return s
	}
	for i, r := range s {
		if n <= width-1 {
			return "…" + s[i:]
		}
		n -= runeWidth(r)
	}
	return "…"
}

// split cuts s after at most width cells.
func split(s string, width int) (head, tail string) {
	n := 0
	for i, r := range s {
		if n += runeWidth(r); n > width {
			return s[:i], s[i:]
		}
	}
	return s, ""
}

// wrap breaks a line of single blanks into rows of at most width cells; there is
// at least one.
func wrap(s string, width int) []string {
	var rows []string
	row, used := "", 0
	for word := range strings.SplitSeq(s, " ") {
		n := cells(word)
		if used > 0 && used+1+n > width {
			rows = append(rows, row)
			row, used = "", 0
		}
		for n > width {
			var head string
			if head, word = split(word, width); head == "" {
				break // not even one character fits
			}
			rows = append(rows, head)
			n = cells(word)
		}
		if used > 0 {
			row, used = row+" ", used+1
		}
		row, used = row+word, used+n
	}
	return append(rows, row)
}

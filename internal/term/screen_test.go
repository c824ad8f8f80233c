package term

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// screen is a terminal of a given width and any height: what it shows in the
// end. It knows the sequences that this package uses and fails on any other.
func screen(t *testing.T, s string, width int) string {
	t.Helper()
	rows := [][]rune{nil}
	x, y := 0, 0
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		s = s[n:]
		switch {
		case r == '\r':
			x = 0
		case r == '\n':
			x, y = 0, y+1
			if y == len(rows) {
				rows = append(rows, nil)
			}
		case r == 0x1b:
			end := strings.IndexFunc(s, func(r rune) bool { return r >= 0x40 && r != '[' })
			param, _ := strconv.Atoi(strings.TrimPrefix(s[:end], "["))
			switch s[end] {
			case 'm':
			case 'h', 'l':
				if s[:end] != "[?2026" {
					t.Fatalf("unknown mode %q", s[:end+1])
				}
			case 'K':
				rows[y] = rows[y][:min(x, len(rows[y]))]
			case 'A':
				y -= max(param, 1)
			case 'G':
				x = param - 1
			default:
				t.Fatalf("unknown sequence %q", s[:end+1])
			}
			s = s[end+1:]
		case r < 0x20:
			t.Fatalf("control character %q", r)
		case runeWidth(r) == 0:
		default:
			if x+runeWidth(r) > width {
				t.Fatalf("row %d is wider than %d: %q", y, width, string(rows[y]))
			}
			for len(rows[y]) < x+1 {
				rows[y] = append(rows[y], ' ')
			}
			rows[y][x] = r
			x++
			if runeWidth(r) == 2 { // the second cell of a wide character
				rows[y] = append(rows[y][:x], '\u200b')
				x++
			}
		}
	}
	var b strings.Builder
	for _, row := range rows {
		b.WriteString(strings.TrimRight(strings.ReplaceAll(string(row), "\u200b", ""), " ") + "\n")
	}
	if out := strings.TrimRight(b.String(), "\n"); out != "" {
		return out + "\n"
	}
	return ""
}

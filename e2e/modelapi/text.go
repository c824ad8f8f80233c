package modelapi

import (
	"strings"
	"unicode/utf8"
)

// filler returns n bytes of valid UTF-8 with characters of every length.
func filler(n int) string {
	const unit = "Zeile für Zeile: über 世界, naïve café, 🙂 und 𝄞. "
	var b strings.Builder
	b.Grow(n)
	for b.Len()+len(unit) <= n {
		b.WriteString(unit)
	}
	for _, r := range unit {
		if b.Len()+utf8.RuneLen(r) > n {
			break
		}
		b.WriteRune(r)
	}
	b.WriteString(strings.Repeat(".", n-b.Len()))
	return b.String()
}

// chunks cuts text into pieces of at most size bytes between characters; a
// character that is longer than size is a piece of its own.
func chunks(text string, size int) []string {
	if size <= 0 {
		size = 16 << 10
	}
	var out []string
	for len(text) > size {
		cut := size
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		if cut == 0 {
			_, cut = utf8.DecodeRuneInString(text)
		}
		out = append(out, text[:cut])
		text = text[cut:]
	}
	if text != "" {
		out = append(out, text)
	}
	return out
}

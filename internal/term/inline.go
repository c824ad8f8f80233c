package term

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// nestMax is how deep emphasis may be nested; beyond, marks are text.
const nestMax = 4

// inline splits a piece of one line, which follows prev, into styled segments.
// What depends on text that has not come is left as rest, unless the line has
// ended. Without colour the marks are shown as they are.
func inline(s string, prev rune, ended, color bool, base style) (segs []seg, rest string, last rune) {
	if !color {
		if s == "" {
			return nil, "", prev
		}
		last, _ = utf8.DecodeLastRuneInString(s)
		return []seg{{base, s}}, "", last
	}
	p := inliner{prev: prev}
	rest = p.parse(s, base, ended, 0)
	return p.segs, rest, p.prev
}

// inliner collects segments.
type inliner struct {
	segs []seg
	prev rune // the character before what comes
}

// span is what a mark begins: text in a style, or code.
type span struct {
	text, target string
	style        style
	code         bool
	size         int // bytes of it all, marks included; 0: the mark is text
}

func (p *inliner) parse(s string, base style, ended bool, depth int) (rest string) {
	for s != "" {
		n := strings.IndexAny(s, "\\`*_~[!")
		if n != 0 {
			if n < 0 {
				n = len(s)
			}
			p.text(base, s[:n])
			s = s[n:]
			continue
		}
		sp, known := p.span(s, ended)
		switch {
		case !known:
			return s
		case sp.size == 0 || depth == nestMax:
			n = 1
			if strings.ContainsRune("`*_~", rune(s[0])) {
				n = run(s)
			}
			p.text(base, s[:n])
			s = s[n:]
			continue
		case sp.code:
			p.text(join(base, sp.style), sp.text)
		default:
			p.parse(sp.text, join(base, sp.style), true, depth+1)
		}
		if sp.target != "" && sp.target != sp.text {
			p.text(join(base, dim), " ("+sp.target+")")
		}
		p.prev, _ = utf8.DecodeLastRuneInString(s[:sp.size])
		s = s[sp.size:]
	}
	return ""
}

func (p *inliner) text(st style, s string) {
	if s == "" {
		return
	}
	p.segs = append(p.segs, seg{st, s})
	p.prev, _ = utf8.DecodeLastRuneInString(s)
}

// span reads what begins with the mark at the start of s. It is not known when
// more of the line has to come first.
func (p *inliner) span(s string, ended bool) (sp span, known bool) {
	if len(s) > holdMax {
		s, ended = s[:holdMax], true
	}
	switch s[0] {
	case '\\':
		if len(s) == 1 {
			return span{}, ended
		}
		if s[1] < utf8.RuneSelf && (unicode.IsPunct(rune(s[1])) || unicode.IsSymbol(rune(s[1]))) {
			return span{text: s[1:2], code: true, size: 2}, true
		}
		return span{}, true
	case '`':
		return codeSpan(s, ended)
	case '[':
		return link(s, ended)
	case '!':
		if len(s) == 1 {
			return span{}, ended
		}
		if s[1] != '[' {
			return span{}, true
		}
		sp, known = link(s[1:], ended)
		if sp.size > 0 {
			sp.size++
		}
		return sp, known
	}
	return emphasis(s, p.prev, ended)
}

// codeSpan reads `code`, which ends with as many backticks as it begins with.
func codeSpan(s string, ended bool) (span, bool) {
	n := run(s)
	for i := n; i < len(s); {
		if s[i] != '`' {
			i++
			continue
		}
		m := run(s[i:])
		if i+m == len(s) && !ended {
			return span{}, false
		}
		if m == n {
			text := s[n:i]
			if len(text) > 2 && text[0] == ' ' && text[len(text)-1] == ' ' {
				text = text[1 : len(text)-1]
			}
			return span{text: text, style: cyan, code: true, size: i + n}, true
		}
		i += m
	}
	return span{}, ended
}

// link reads [text](target). The target is shown, too: the text may lie.
func link(s string, ended bool) (span, bool) {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '[':
			depth++
		case ']':
			if depth--; depth > 0 {
				continue
			}
			if i+1 == len(s) {
				return span{}, ended
			}
			if s[i+1] != '(' {
				return span{}, true
			}
			end := strings.IndexByte(s[i:], ')')
			if end < 0 {
				return span{}, ended
			}
			target, _, _ := strings.Cut(strings.TrimSpace(s[i+2:i+end]), " ")
			return span{text: s[1:i], target: strings.Trim(target, "<>"), style: underline, size: i + end + 1}, true
		}
	}
	return span{}, ended
}

// emphasis reads *text*, **text**, ***text***, the same with _, and ~~text~~.
func emphasis(s string, prev rune, ended bool) (span, bool) {
	n := run(s)
	if n == len(s) {
		return span{}, ended
	}
	next, _ := utf8.DecodeRuneInString(s[n:])
	strike := s[0] == '~'
	between := n == 1 || s[0] == '_' // words only: snake_case and 2*3*4 are none
	if n > 3 || strike && n != 2 || unicode.IsSpace(next) || between && isWord(prev) {
		return span{}, true
	}
	var open [8]bool // lengths of backtick runs that nothing closes; longer ones are text
	for i := n; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '`': // a mark inside of code is none
			m := run(s[i:])
			if m >= len(open) || open[m] {
				i += m - 1
				continue
			}
			sp, known := codeSpan(s[i:], ended)
			if !known {
				return span{}, false
			}
			open[m] = sp.size == 0
			i += max(sp.size, m) - 1
		case s[0]:
			m := run(s[i:])
			if i+m == len(s) && !ended {
				return span{}, false
			}
			after, _ := utf8.DecodeRuneInString(s[i+m:])
			before, _ := utf8.DecodeLastRuneInString(s[:i])
			if m == n && !unicode.IsSpace(before) && (!between || !isWord(after)) {
				return span{text: s[n:i], style: emphases(n, strike), size: i + n}, true
			}
			i += m - 1
		}
	}
	return span{}, ended
}

func emphases(n int, strike bool) style {
	switch {
	case strike:
		return struck
	case n == 1:
		return italic
	case n == 2:
		return bold
	}
	return join(bold, italic)
}

// isWord reports a character of a word; U+FFFD is none here, it is what decoding
// nothing yields.
func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

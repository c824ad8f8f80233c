package permission

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// line is a command line, taken apart.
type line struct {
	// plain says that the line is nothing but the commands, one after the other or
	// piped: each runs with exactly these words.
	plain bool
	// commands are the words of each command. Of a line that is not plain they are
	// what could be commands, with quotes taken off.
	commands [][]string
}

// lineMax is the length from which a line is not plain, in bytes: an adapter may see
// a longer one without its middle.
const lineMax = 8 << 10

// harmless are the redirections that plain commands may have: they reach no file.
var harmless = regexp.MustCompile(`^([12]?>[ \t]*/dev/null|<[ \t]*/dev/null|2>&1|1>&2)(?:[ \t\n;|]|$)`)

// reserved reports a word that makes a command something else than a command.
func reserved(word string) bool {
	switch word {
	case "if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "esac", "in",
		"function", "select", "time", "coproc", "!", "[[", "]]":
		return true
	}
	return false
}

// parseLine takes a command line apart. Whatever it is not sure about makes the
// line not plain: expansions, globs, redirections, groups, assignments, control
// characters, and syntax that a shell would refuse.
func parseLine(s string) line {
	l := lexer{rest: s, plain: len(s) <= lineMax && utf8.ValidString(s)}
	for l.plain && l.rest != "" {
		l.next()
	}
	l.endWord()
	l.endCommand()
	if l.plain && l.begun == "" && len(l.commands) > 0 {
		return line{plain: true, commands: l.commands}
	}
	return line{commands: fragments(s)}
}

type lexer struct {
	rest     string
	plain    bool
	word     []byte
	inWord   bool
	quoted   bool // some of the word was
	words    []string
	commands [][]string
	begun    string // the operator that wants a command after it
}

// next takes one character or operator off the rest.
func (l *lexer) next() {
	c := l.rest[0]
	switch {
	case c == ' ' || c == '\t':
		l.endWord()
	case c == '\n' || c == ';':
		l.endWord()
		l.separate("", c == ';')
	case strings.HasPrefix(l.rest, "&&"), strings.HasPrefix(l.rest, "||"):
		l.endWord()
		l.separate(l.rest[:2], true)
		l.rest = l.rest[1:]
	case c == '|' && !strings.HasPrefix(l.rest, "|&"):
		l.endWord()
		l.separate("|", true)
	case !l.inWord && harmless.MatchString(l.rest):
		l.rest = l.rest[harmless.FindStringSubmatchIndex(l.rest)[3]:]
		return
	case c == '\'' || c == '"':
		l.quote(c)
		return
	case !l.literal(c):
		l.plain = false
		return
	default:
		l.add(c)
	}
	l.rest = l.rest[1:]
}

// literal reports whether an unquoted c stands for itself.
func (l *lexer) literal(c byte) bool {
	if c < ' ' || c == 0x7f || strings.IndexByte("\\$`&|()<>{}*?[]", c) >= 0 {
		return false
	}
	if strings.IndexByte("~#!=", c) >= 0 && !l.inWord {
		return false
	}
	return c != '=' || len(l.words) > 0 // NAME=VALUE before a command
}

func (l *lexer) add(c byte) {
	l.word = append(l.word, c)
	l.inWord = true
}

// quote takes a quoted part of a word. In double quotes nothing may be special.
func (l *lexer) quote(q byte) {
	end := strings.IndexByte(l.rest[1:], q)
	if end < 0 {
		l.plain = false
		return
	}
	text := l.rest[1 : 1+end]
	if q == '"' && strings.ContainsAny(text, "\\$`!") {
		l.plain = false
		return
	}
	l.word = append(l.word, text...)
	l.inWord, l.quoted = true, true
	l.rest = l.rest[2+end:]
}

func (l *lexer) endWord() {
	if !l.inWord {
		return
	}
	word := string(l.word)
	if len(l.words) == 0 && !l.quoted && reserved(word) || strings.ContainsRune(word, 0) {
		l.plain = false
	}
	l.words = append(l.words, word)
	l.word, l.inWord, l.quoted = l.word[:0], false, false
}

// separate ends a command; then is the operator, and must says that an empty command
// before it is an error.
func (l *lexer) separate(then string, must bool) {
	if must && len(l.words) == 0 {
		l.plain = false
	}
	l.endCommand()
	if then != "" {
		l.begun = then
	}
}

func (l *lexer) endCommand() {
	if len(l.words) > 0 {
		l.commands = append(l.commands, l.words)
		l.words, l.begun = nil, ""
	}
}

// fragments are the words of everything in s that could be a command.
func fragments(s string) [][]string {
	var all [][]string
	for part := range strings.FieldsFuncSeq(s, func(r rune) bool { return strings.ContainsRune(";|&\n\r(){}<>`$", r) }) {
		part = strings.Map(func(r rune) rune {
			switch {
			case r == '\'' || r == '"' || r == '\\' || r == 0:
				return -1
			case r < ' ':
				return ' '
			}
			return r
		}, part)
		if words := strings.Fields(part); len(words) > 0 {
			all = append(all, words)
		}
	}
	return all
}

// matchCommand reports whether pattern matches all words. Its own words are separated
// by blanks; "*" in one stands for any text of a word, and as the last word for any
// number of words.
func matchCommand(pattern string, words []string) bool {
	want, open := patternWords(pattern)
	return (open || len(words) == len(want)) && begins(words, want, wild)
}

// matchAnywhere reports whether pattern matches from some word on, whatever follows.
// That word may be given with its directory.
func matchAnywhere(pattern string, words []string) bool {
	want, _ := patternWords(pattern)
	for i := range words {
		if begins(words[i:], want, func(pattern, word string) bool {
			return wild(pattern, word) || wild(pattern, word[strings.LastIndexByte(word, '/')+1:])
		}) {
			return true
		}
	}
	return false
}

// patternWords splits a pattern; open says that any words may follow.
func patternWords(pattern string) (want []string, open bool) {
	want = strings.Fields(pattern)
	if n := len(want) - 1; n > 0 && want[n] == "*" {
		return want[:n], true
	}
	return want, false
}

func begins(words, want []string, match func(pattern, word string) bool) bool {
	if len(words) < len(want) {
		return false
	}
	for i, w := range want {
		if !match(w, words[i]) {
			return false
		}
	}
	return true
}

package agent

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// codexTitle makes s one short line.
func codexTitle(s string) string {
	const maxRunes = 200
	if len(s) > 4*maxRunes { // before Fields, which copies
		s = strings.ToValidUTF8(s[:4*maxRunes], "")
	}
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) <= maxRunes {
		return s
	}
	return string([]rune(s)[:maxRunes-1]) + "…"
}

// codexTexts joins the texts in raw: a string, or a list of parts of which those
// with a text have a member of that name.
func codexTexts(raw json.RawMessage) string {
	var s string
	if len(raw) == 0 {
		return ""
	}
	if raw[0] == '"' {
		_ = codexDecode(raw, &s) // it was decoded once
		return s
	}
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	_ = codexDecode(raw, &parts) // null or of another shape: nothing to show
	var texts []string
	for _, p := range parts {
		switch {
		case p.Text != "":
			texts = append(texts, p.Text)
		case p.Type != "" && !strings.HasSuffix(strings.ToLower(p.Type), "text"):
			texts = append(texts, "["+p.Type+"]")
		}
	}
	return strings.Join(texts, "\n")
}

// codexUnwrapShell returns the script of "/bin/bash -lc 'SCRIPT'", which is how
// the server reports each command; any other command as it is.
func codexUnwrapShell(command string) string {
	shell, rest, ok := strings.Cut(command, " -lc ")
	if !ok || strings.ContainsAny(shell, " '\"") || !strings.HasSuffix(shell, "sh") {
		return command
	}
	script, ok := codexUnquote(rest)
	if !ok {
		return command
	}
	return script
}

// codexScript is codexUnwrapShell for what rules decide about: the script counts as
// the command only where a shell of the system runs it. The model can name another.
func codexScript(command string) string {
	shell, rest, ok := strings.Cut(command, " ")
	flag, word, ok2 := strings.Cut(rest, " ")
	if !ok || !ok2 || !codexIsShell(shell, flag) {
		return command
	}
	if script, ok := codexUnquote(word); ok {
		return script
	}
	return command
}

// codexJoin is codexScript of an argv.
func codexJoin(argv []string) string {
	if len(argv) == 3 && codexIsShell(argv[0], argv[1]) {
		return argv[2]
	}
	var words []string
	for _, a := range argv {
		words = append(words, "'"+strings.ReplaceAll(a, "'", `'"'"'`)+"'")
	}
	return strings.Join(words, " ")
}

func codexIsShell(shell, flag string) bool {
	switch shell {
	case "/bin/bash", "/usr/bin/bash", "/bin/sh", "/usr/bin/sh", "/bin/zsh", "/usr/bin/zsh":
		return flag == "-lc" || flag == "-c"
	}
	return false
}

// codexUnquote undoes the quoting of one POSIX shell word.
func codexUnquote(word string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(word); i++ {
		switch ch := word[i]; ch {
		case '\'':
			end := strings.IndexByte(word[i+1:], '\'')
			if end < 0 {
				return "", false
			}
			b.WriteString(word[i+1 : i+1+end])
			i += 1 + end
		case '"':
			for i++; i < len(word) && word[i] != '"'; i++ {
				if word[i] == '\\' && i+1 < len(word) && strings.IndexByte("$`\"\\", word[i+1]) >= 0 {
					i++
				}
				b.WriteByte(word[i])
			}
			if i == len(word) {
				return "", false
			}
		case '\\':
			if i++; i == len(word) {
				return "", false
			}
			b.WriteByte(word[i])
		case ' ', '\t', '\n', '|', '&', ';', '<', '>', '(', ')':
			return "", false // more than one word
		default:
			b.WriteByte(ch)
		}
	}
	return b.String(), true
}

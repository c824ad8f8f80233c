package term

import "strings"

// classify says what a line outside of code is, and how long the mark is that it
// begins with. A line that has not ended may be undecided.
func classify(body string, ended bool) (kind lineKind, mark int) {
	if body == "" {
		if ended {
			return prose, 0
		}
		return undecided, 0
	}
	n := run(body)
	more := n == len(body) && !ended // the mark may go on
	long := len(body) > holdMax      // so that it is no line of marks
	switch c := body[0]; c {
	case '`', '~':
		if long {
			return prose, 0
		}
		return fence(body, n, more, ended), 0
	case '|':
		if !ended && len(body) <= tableMax {
			return undecided, 0
		}
		return tableRow, 0
	case '>':
		if len(body) == 1 && !ended {
			return undecided, 0
		}
		if strings.HasPrefix(body, "> ") {
			return prose, 2
		}
		return prose, 1
	case '#':
		switch {
		case more && n <= 6:
			return undecided, 0
		case n <= 6 && n < len(body) && body[n] == ' ':
			return prose, n + 1
		}
	case '-', '*', '+', '_':
		switch {
		case long:
		case more:
			return undecided, 0
		case n >= 3 && c != '+' && strings.TrimSpace(body[n:]) == "":
			if ended {
				return ruler, 0
			}
			return undecided, 0
		}
		if n == 1 && c != '_' && len(body) > 1 && body[1] == ' ' {
			return prose, 2
		}
	default:
		return numbered(body, ended)
	}
	return prose, 0
}

// fence decides on a line that begins with n backticks or tildes. What follows
// them says whether it opens code, so that the line has to be complete.
func fence(body string, n int, more, ended bool) lineKind {
	switch {
	case more, n >= 3 && !ended:
		return undecided
	case n >= 3 && !strings.Contains(body[n:], body[:1]):
		return fenceMark
	}
	return prose
}

// numbered decides on a line that may begin with a number, which is a mark when
// a point or a bracket and a blank follow.
func numbered(body string, ended bool) (lineKind, int) {
	n := len(body) - len(strings.TrimLeft(body, "0123456789"))
	switch rest := body[n:]; {
	case n == 0 || n > 9:
	case !ended && (rest == "" || rest == "." || rest == ")"):
		return undecided, 0
	case strings.HasPrefix(rest, ". "), strings.HasPrefix(rest, ") "):
		return prose, n + 2
	}
	return prose, 0
}

// codeLine decides on a line inside of code.
func codeLine(body, fence string, ended bool) lineKind {
	trimmed := strings.TrimRight(body, " \t")
	switch {
	case len(body) > holdMax, trimmed != "" && trimmed[0] != fence[0]:
		return code
	case !ended && (trimmed == "" || run(trimmed) == len(trimmed)):
		return undecided
	case trimmed != "" && run(trimmed) == len(trimmed) && len(trimmed) >= len(fence):
		return fenceMark
	}
	return code
}

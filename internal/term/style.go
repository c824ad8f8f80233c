package term

import "strings"

// style is an SGR parameter.
type style string

const (
	plain     style = ""
	bold      style = "1"
	dim       style = "2"
	italic    style = "3"
	underline style = "4"
	struck    style = "9"
	red       style = "31"
	green     style = "32"
	yellow    style = "33"
	cyan      style = "36"
)

// join is both styles; of two colours the second is seen.
func join(a, b style) style {
	switch {
	case a == plain || a == b:
		return b
	case b == plain:
		return a
	}
	return a + ";" + b
}

// seg is text in one style.
type seg struct {
	style style
	text  string
}

func (s seg) render(color bool) string {
	if !color || s.style == plain || s.text == "" {
		return s.text
	}
	return "\x1b[" + string(s.style) + "m" + s.text + "\x1b[0m"
}

func render(segs []seg, color bool) string {
	var b strings.Builder
	for _, s := range segs {
		b.WriteString(s.render(color))
	}
	return b.String()
}

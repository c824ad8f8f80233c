package term

import "strings"

// style is an SGR parameter.
type style string

const (
	plain  style = ""
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	cyan   style = "36"
)

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

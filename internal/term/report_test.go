package term

import (
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	t.Parallel()
	checks := []Check{
		{OK, "engine", "version 20.10", ""},
		{Warn, "disk", "3.1 GB free at \x1b[31m/var", "remove something"},
		{Fail, "attempt", "a long text that has to be wrapped on a terminal", ""},
	}
	for name, tt := range map[string]struct {
		stream Stream
		width  int
		want   string
	}{
		"plain": {Stream{}, 40, `ok   engine   version 20.10
warn disk     3.1 GB free at /var
              remove something
fail attempt  a long text that has to be wrapped on a terminal
`},
		"terminal": {Stream{Terminal: true}, 40, `ok   engine   version 20.10
warn disk     3.1 GB free at /var
              remove something
fail attempt  a long text that has to
              be wrapped on a terminal
`},
		"color": {Stream{Terminal: true, Color: true}, 60, "\x1b[32mok   \x1b[0mengine   version 20.10\n" +
			"\x1b[33mwarn \x1b[0mdisk     3.1 GB free at /var\n              \x1b[36mremove something\x1b[0m\n" +
			"\x1b[31mfail \x1b[0mattempt  a long text that has to be wrapped on a\n              terminal\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b strings.Builder
			tt.stream.W = &b
			Report(tt.stream, tt.width, len("attempt"), checks...)
			if b.String() != tt.want {
				t.Errorf("got\n%s\nwant\n%s", b.String(), tt.want)
			}
		})
	}
}

package pid1

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestArgsRoundTrip(t *testing.T) {
	t.Parallel()
	for _, c := range []Config{
		{StdoutMax: 1, OrphanAfter: time.Second, Command: []string{"agent"}},
		{StdoutMax: 1 << 40, OrphanAfter: 90 * time.Minute, Command: []string{"agent", "--", "-stdout-max", "7", "", "a b", "ü"}},
		{StdoutMax: 1, OrphanAfter: 300 * time.Millisecond, Command: []string{"-odd", "tunnel"}},
	} {
		got, err := Parse(c.Args())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c, got); d != "" {
			t.Error(d)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--"}, {"-stdout-max", "x", "--", "agent"}, {"-unknown", "agent"}} {
		if c, err := Parse(args); err == nil {
			t.Errorf("%q gave %+v", args, c)
		}
	}
}

package term

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestProgress(t *testing.T) {
	t.Parallel()
	steps := func(line string) bool { return strings.HasPrefix(line, "Step") }
	for _, tc := range []struct {
		name string
		o    Options
		fail bool
		want string
	}{
		{"terminal", terminal(40, true), false, "· built in 2m00s\n"},
		{"terminal, failing", terminal(40, true), true, "· Step 1/2 : RUN apt-get\n· fetching red a very long line, longer\n  than the terminal is wide\n"},
		{"log", Options{}, false, "· Step 1/2 : RUN apt-get\n· built in 2m00s\n"},
		{"quiet", Options{Quiet: true}, false, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			now := time.Now()
			tc.o.Out.W, tc.o.Err.W = &out, &out
			tc.o.Now = func() time.Time { return now }
			g := NewProgress(tc.o, "building")
			g.Plain = steps
			g.Tick()
			g.Line("Step 1/2 : RUN apt-get")
			now = now.Add(2 * time.Minute)
			g.Line("fetching \x1b[31mred\r a very long line, longer than the terminal is wide")
			g.Tick()
			if tc.o.Live && !strings.Contains(out.String(), "2m00s · building · fetching red") {
				t.Errorf("no progress is shown: %q", out.String())
			}
			if tc.fail {
				g.Fail()
			} else {
				g.Done("built")
			}
			if diff := cmp.Diff(tc.want, screen(t, out.String(), 40)); tc.o.Live && diff != "" {
				t.Errorf("screen (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.want, out.String()); !tc.o.Live && diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestProgressOfNothing(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	o := terminal(40, true)
	o.Err.W = &out
	g := NewProgress(o, "building")
	g.Tick()
	g.Done("built")
	if out.Len() > 0 {
		t.Errorf("got %q", out.String())
	}
}

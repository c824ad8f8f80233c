package term

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

func TestViolations(t *testing.T) {
	t.Parallel()
	script := []moment{{0, event.PathViolation{Path: ".idea", What: "unprotected", Reason: ".idea is a link"}}}
	for i := range 2 * violationsMax {
		script = append(script, moment{0, event.PathViolation{Path: fmt.Sprintf("sub%d/.envrc", i), What: "created", Reason: "direnv runs it"}})
	}
	script = append(script, moment{0, event.SessionFinished{Outcome: event.Succeeded}})
	for _, quiet := range []bool{false, true} {
		var out strings.Builder
		o := terminal(120, false)
		o.Live, o.Quiet = false, quiet
		play(o, script, &out)
		for text, want := range map[string]int{
			"! .idea unprotected: .idea is a link":      1,
			"! sub0/.envrc created: direnv runs it":     1,
			"direnv runs it":                            violationsMax - 1,
			"more guarded paths changed":                1,
			"--allow-path PATH leaves one to the agent": 1,
		} {
			if quiet && strings.HasPrefix(text, "--allow") {
				want = 0
			}
			if got := strings.Count(out.String(), text); got != want {
				t.Errorf("quiet %v: %q is shown %d times, want %d:\n%s", quiet, text, got, want, out.String())
			}
		}
	}
}

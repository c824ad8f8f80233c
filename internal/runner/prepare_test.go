package runner

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// The script is run as it is: the agent's stdin and stdout are its own, and it does
// not run when the preparation failed.
func TestPrepareBefore(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare, stdout, stderr string
		code                    int
	}{
		"none":  {"", "agent read hello, token s", "", 0},
		"works": {`read -r x; echo "prepared '$x' token '$TOKEN'"`, "agent read hello, token s", "prepared '' token ''\n", 0},
		"fails": {"echo no >&2; exit 3", "", "no\npostCreateCommand failed with exit code 3\n", prepareFailed},
		"exits": {"exit 0", "agent read hello, token s", "", 0},
	} {
		args := Prepare{Command: c.prepare}.before([]string{"sh", "-c", `read -r x; printf 'agent read %s, token %s' "$x" "$TOKEN"`}, []string{"TOKEN"})
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "TOKEN=s")
		cmd.Stdin = strings.NewReader("hello\n")
		var stdout, stderr strings.Builder
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		_ = cmd.Run()
		if stdout.String() != c.stdout || stderr.String() != c.stderr || cmd.ProcessState.ExitCode() != c.code {
			t.Errorf("%s: stdout %q, stderr %q, exit code %d; want %+v", name, &stdout, &stderr, cmd.ProcessState.ExitCode(), c)
		}
	}
}

func TestPrepareOutcome(t *testing.T) {
	t.Parallel()
	e := end{prepare: true, stderr: "postCreateCommand failed with exit code 3", result: sandbox.Result{Cause: sandbox.Exited, ExitCode: prepareFailed}}
	if o, reason := e.outcome(); o != event.Errored || reason != e.stderr {
		t.Errorf("%s: %s", o, reason)
	}
	e.prepare = false
	if o, _ := e.outcome(); o != event.Lost {
		t.Errorf("an agent's own exit code counts as the preparation's: %s", o)
	}
}

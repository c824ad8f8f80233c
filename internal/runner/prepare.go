package runner

import (
	"fmt"
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/devcontainer"
)

// prepareFailed is the exit code by which a failed Prepare shows.
const prepareFailed = 97

// Prepare is what a repository's devcontainer.json adds to a session.
type Prepare struct {
	Env     []string // KEY=VALUE; everything else that sets a variable wins
	Mounts  []devcontainer.Mount
	Command string // for sh -c, in the sandbox, before the agent starts
}

// before returns the agent's command line with the preparation in front of it. That
// prints on stderr, has no stdin, which is the agent's, and does not have the
// variables secrets: what it runs is the repository's.
func (p Prepare) before(command, secrets []string) []string {
	if p.Command == "" {
		return command
	}
	var unset strings.Builder
	for _, name := range secrets {
		fmt.Fprintf(&unset, "unset %s; ", name)
	}
	script := fmt.Sprintf(`(%sexec sh -c "$0") </dev/null >&2 || { echo "postCreateCommand failed with exit code $?" >&2; exit %d; }; exec "$@"`,
		unset.String(), prepareFailed)
	return append([]string{"/bin/sh", "-c", script, p.Command}, command...)
}

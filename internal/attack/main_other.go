//go:build !linux

package attack

import (
	"fmt"
	"os"
)

// Main refuses: a sandbox is a Linux container wherever the runner is.
func Main([]string) int {
	fmt.Fprintln(os.Stderr, Subcommand+": runs in Linux containers only")
	return 2
}

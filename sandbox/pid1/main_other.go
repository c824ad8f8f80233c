//go:build !linux

package pid1

import (
	"fmt"
	"os"
)

// Main refuses: a sandbox is a Linux container wherever the runner is.
func Main([]string) int {
	fmt.Fprintln(os.Stderr, "sandbox-init: runs in Linux containers only")
	return ExitInit
}

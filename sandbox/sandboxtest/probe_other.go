//go:build !linux

package sandboxtest

import "fmt"

func runReal(in Inside) int {
	fmt.Fprintln(in.Stderr, "probe: needs a Linux container")
	return 2
}

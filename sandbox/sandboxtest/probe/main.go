// Command probe is sandboxtest.Probe as a program, and sandbox-init as well: the
// tests of package sandbox build it into their image, once under each name.
package main

import (
	"os"
	"path/filepath"

	"github.com/sprawlto/ratchetai-runner/sandbox/pid1"
	"github.com/sprawlto/ratchetai-runner/sandbox/sandboxtest"
)

func main() {
	if filepath.Base(os.Args[0]) == "sandbox-init" {
		os.Exit(pid1.Main(os.Args[1:]))
	}
	os.Exit(sandboxtest.Probe(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

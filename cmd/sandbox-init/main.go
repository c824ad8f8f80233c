// Command sandbox-init is PID 1 of every sandbox: package pid1 as a program of its own, because it starts with every
// session. `make build` puts it into ratchetai-runner, which puts it into the images.
package main

import (
	"os"

	"github.com/sprawlto/ratchetai-runner/sandbox/pid1"
)

func main() { os.Exit(pid1.Main(os.Args[1:])) }

package images

import "embed"

//go:embed init
var initDir embed.FS

// Init returns cmd/sandbox-init, PID 1 of sandboxes: static, for Linux on this architecture. It is empty in a program
// that `make build` did not build.
func Init() []byte {
	program, _ := initDir.ReadFile("init/sandbox-init")
	return program
}

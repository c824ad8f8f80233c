package images

import (
	"embed"
	"io"
)

const initFile = "init/sandbox-init"

//go:embed init
var initDir embed.FS

// Init returns cmd/sandbox-init, PID 1 of sandboxes: static, for Linux on this architecture. It is empty in a program
// that `make build` did not build.
func Init() []byte {
	program, _ := initDir.ReadFile(initFile)
	return program
}

// InitID tells one Init from another by its first page, where a Go program has its build
// ID: a process that reads the whole of it keeps that in memory. Empty as Init is.
func InitID() []byte {
	f, err := initDir.Open(initFile)
	if err != nil {
		return nil
	}
	defer f.Close()
	id, _ := io.ReadAll(io.LimitReader(f, 4096))
	return id
}

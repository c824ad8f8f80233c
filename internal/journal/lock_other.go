//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package journal

import "os"

// lock does nothing where the standard library has no file locks.
func lock(*os.File) error { return nil }

func unlock(*os.File) {}

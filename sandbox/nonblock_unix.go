//go:build unix

package sandbox

import "syscall"

// openNonblock keeps an open from waiting for the writer of a FIFO.
const openNonblock = syscall.O_NONBLOCK

//go:build !linux

package sandbox

import (
	"context"
	"errors"
	"io"
)

// connect fails: the engine runs on another machine, be it a virtual one.
func connect(context.Context, string) (io.ReadWriteCloser, error) { return nil, errors.ErrUnsupported }

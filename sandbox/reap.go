package sandbox

import (
	"context"
	"errors"
)

// Reap removes every container of runner that nobody owns: those that have
// ended, or still run, and for which owned returns false. It returns what it
// removed and goes on after an error.
func Reap(ctx context.Context, e Engine, runner string, owned func(Info) bool) ([]Info, error) {
	all, err := e.List(ctx, runner)
	if err != nil {
		return nil, err
	}
	var reaped []Info
	var errs []error
	for _, info := range all {
		if owned(info) {
			continue
		}
		if err := e.Remove(ctx, info.ID); err != nil {
			errs = append(errs, err)
			continue
		}
		reaped = append(reaped, info)
	}
	return reaped, errors.Join(errs...)
}

package server

import (
	"context"
	"time"
)

// retainEvery is the time from one search for what is too old to the next.
const retainEvery = time.Hour

// Maintain removes, now and every hour until ctx ends, what finished longer than keep
// ago. 0 keeps everything.
func (s *Server) Maintain(ctx context.Context, keep time.Duration) {
	if keep <= 0 {
		return
	}
	tick := time.NewTicker(retainEvery)
	defer tick.Stop()
	for {
		n, err := s.store.Retention(ctx, s.now().Add(-keep))
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.log.WithError(err).Error("nothing is removed any more")
		case n > 0:
			s.log.WithField("tasks", n).Info("old tasks removed")
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

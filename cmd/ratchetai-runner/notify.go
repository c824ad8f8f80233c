package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// watch tells systemd that the control plane works, and until ctx ends that it still does:
// it is killed and started again when its database does not answer for as long as the
// watchdog waits, microseconds as WATCHDOG_USEC has them. What runners do they tell
// themselves.
func (cp *controlPlane) watch(ctx context.Context, tell func(string), watchdog string) {
	tell("READY=1")
	defer tell("STOPPING=1")
	us, err := strconv.ParseInt(watchdog, 10, 64)
	if err != nil || us <= 0 {
		<-ctx.Done()
		return
	}
	every := time.Duration(us) * time.Microsecond / 2
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		look, cancel := context.WithTimeout(ctx, every)
		if cp.alive(look) == nil {
			tell("WATCHDOG=1")
		}
		cancel()
	}
}

// alive asks the control plane whether it can do its work.
func (cp *controlPlane) alive(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/readyz", http.NoBody)
	if err != nil {
		return err
	}
	w := &statusWriter{header: make(http.Header), status: http.StatusOK}
	cp.Server.Handler().ServeHTTP(w, r)
	if w.status != http.StatusOK {
		return fmt.Errorf("the control plane is not ready: status %d", w.status)
	}
	return nil
}

// statusWriter takes the status of an answer and nothing else.
type statusWriter struct {
	header http.Header
	status int
}

func (w *statusWriter) Header() http.Header         { return w.header }
func (w *statusWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *statusWriter) WriteHeader(status int)      { w.status = status }

package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

// notify tells systemd what this service does, where systemd has asked to be told:
// READY=1, STOPPING=1, WATCHDOG=1 (sd_notify(3)).
func (a *app) notify(state string) {
	address := a.getenv("NOTIFY_SOCKET")
	if address == "" {
		return
	}
	c, err := net.Dial("unixgram", address) // a leading @ is the abstract namespace, as systemd means it
	if err == nil {
		defer c.Close()
		_, err = c.Write([]byte(state))
	}
	if err != nil {
		a.log.WithError(err).Debug("systemd could not be told " + state)
	}
}

// ready tells systemd that the service works, and until ctx ends that it still does: it is
// killed and started again when alive fails for as long as its WatchdogSec. alive has half
// of that time; nil is always well.
func (a *app) ready(ctx context.Context, alive func(context.Context) error) {
	a.notify("READY=1")
	us, err := strconv.ParseInt(a.getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || us <= 0 {
		return
	}
	every := time.Duration(us) * time.Microsecond / 2
	go func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			if alive != nil {
				look, cancel := context.WithTimeout(ctx, every)
				err := alive(look)
				cancel()
				if err != nil {
					a.log.WithError(err).Warn("not well")
					continue
				}
			}
			a.notify("WATCHDOG=1")
		}
	}()
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

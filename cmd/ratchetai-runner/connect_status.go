package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/connect"
)

// serveStatus serves the state of d at address, if there is one, until closing is called.
func (a *app) serveStatus(d *connect.Daemon, address string) (closing func(), err error) {
	if address == "" {
		return func() {}, nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, usageError{fmt.Errorf("--status: %q is not HOST:PORT or :PORT", address)}
	}
	if host == "" {
		host = "127.0.0.1"
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf("--status: %w", err)
	}
	s := &http.Server{Handler: d.Handler(), ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			a.log.WithError(err).Warn("the state is no longer shown")
		}
	}()
	return func() { _ = s.Close() }, nil
}

// notify tells systemd, if that started this program.
func (a *app) notify() func(string) {
	socket := a.getenv("NOTIFY_SOCKET")
	if socket == "" {
		return nil
	}
	return func(state string) {
		if err := connect.Notify(socket, state); err != nil {
			a.log.WithError(err).Debug("systemd does not hear this program")
		}
	}
}

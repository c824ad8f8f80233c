package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/sprawlto/ratchetai-runner/internal/schedule"
	"github.com/sprawlto/ratchetai-runner/internal/server"
	"github.com/sprawlto/ratchetai-runner/internal/store"
)

// controlPlaneConfig is what a control plane is made of.
type controlPlaneConfig struct {
	Listen      string // host:port; port 0: any
	Data        string // directory
	Public      *url.URL
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error) // nil: plain HTTP
	Retention   time.Duration
	Version     string
	Log         logrus.FieldLogger
}

// controlPlane is one that runs in this process: serve, and up.
type controlPlane struct {
	// Server makes owners and tokens.
	Server *server.Server
	// URL is the public address, or where it listens; Local is where it listens.
	URL, Local *url.URL

	stop context.CancelFunc
	done chan error // one error, when it has ended
}

// startControlPlane opens the database and listens. When it returns, requests are
// answered. It runs until ctx ends, Stop is called or it fails: see Wait.
func startControlPlane(ctx context.Context, c controlPlaneConfig) (*controlPlane, error) {
	db, err := store.Open(ctx, c.Data)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen: %w", err), db.Close())
	}
	metrics := server.NewMetrics()
	dispatcher, err := schedule.New(ctx, db, c.Log, metrics)
	if err != nil {
		return nil, errors.Join(err, l.Close(), db.Close())
	}
	local := listenURL(l.Addr(), c.Certificate != nil)
	cp := &controlPlane{URL: cmp.Or(c.Public, local), Local: local, done: make(chan error, 1)}
	cp.Server = server.New(server.Config{
		Store: db, Dispatcher: dispatcher, Metrics: metrics, Log: c.Log, Version: c.Version, Public: c.Public,
	})
	ctx, cp.stop = context.WithCancel(ctx)
	// The dispatcher ends after the server: whoever is held still gets an answer.
	running, stopDispatcher := context.WithCancel(context.WithoutCancel(ctx))
	var beside sync.WaitGroup
	beside.Go(func() { dispatcher.Run(running) })
	beside.Go(func() { cp.Server.Maintain(ctx, c.Retention) })
	go func() {
		err := cp.Server.Serve(ctx, l, c.Certificate)
		cp.stop()
		stopDispatcher()
		beside.Wait()
		cp.done <- errors.Join(err, db.Close())
	}()
	return cp, nil
}

// Stop begins to end it; see Wait.
func (cp *controlPlane) Stop() { cp.stop() }

// Wait returns when it has ended: nil if it was told to.
func (cp *controlPlane) Wait() error { return <-cp.done }

// listenURL is the address to type for what listens at a.
func listenURL(a net.Addr, secure bool) *url.URL {
	u := &url.URL{Scheme: "http", Host: a.String()}
	if secure {
		u.Scheme = "https"
	}
	if t, ok := a.(*net.TCPAddr); ok && t.IP.IsUnspecified() {
		u.Host = net.JoinHostPort("127.0.0.1", fmt.Sprint(t.Port))
	}
	return u
}

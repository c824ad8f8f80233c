package world

import (
	"context"
	"crypto/sha256"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/schedule"
	"github.com/sprawlto/ratchetai-runner/internal/server"
	"github.com/sprawlto/ratchetai-runner/internal/store"
)

// dialMax is how long a client waits for a connection.
const dialMax = 10 * time.Second

// Plane is a control plane that comes and goes; its data stays.
type Plane struct {
	dir string
	log logrus.FieldLogger

	mu   sync.Mutex
	live *plane // nil: it is away
	off  bool   // so is its machine: nobody refuses connections
}

type plane struct {
	store    *store.Store
	dispatch *schedule.Dispatcher
	pipes    *pipes
	stop     context.CancelFunc
	ended    chan error
}

// Start starts it with what is on disk.
func (p *Plane) Start() error {
	db, err := store.Open(context.Background(), p.dir)
	if err != nil {
		return err
	}
	metrics := server.NewMetrics()
	d, err := schedule.New(context.Background(), db, p.log, metrics)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	live := &plane{store: db, dispatch: d, pipes: newPipes(), ended: make(chan error, 1)}
	s := server.New(server.Config{Store: db, Dispatcher: d, Metrics: metrics, Log: p.log, Version: "world"})
	var ctx context.Context
	ctx, live.stop = context.WithCancel(context.Background())
	running, stopDispatcher := context.WithCancel(context.Background())
	dispatching := make(chan error, 1)
	go func() { d.Run(running); dispatching <- nil }()
	go func() {
		err := s.Serve(ctx, live.pipes, nil)
		stopDispatcher()
		live.ended <- errors.Join(err, <-dispatching, db.Close())
	}()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live = live
	return nil
}

// Stop ends it as SIGTERM does.
func (p *Plane) Stop() error { return p.end(false) }

// Kill ends it in the middle of whatever it does: nobody gets an answer any more.
func (p *Plane) Kill() error { return p.end(true) }

func (p *Plane) end(abrupt bool) error {
	p.mu.Lock()
	live := p.live
	p.live = nil
	p.mu.Unlock()
	if live == nil {
		return nil
	}
	if abrupt {
		live.pipes.cut()
	}
	live.stop()
	if err := <-live.ended; !abrupt || !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// Drop breaks all connections; new ones can be made.
func (p *Plane) Drop() {
	if l := p.current(); l != nil {
		l.pipes.drop()
	}
}

func (p *Plane) current() *plane {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.live
}

func (p *Plane) dial(ctx context.Context) (net.Conn, error) {
	p.mu.Lock()
	live, off := p.live, p.off
	p.mu.Unlock()
	switch {
	case live != nil:
		return live.pipes.dial(ctx)
	case off:
		_ = pause(ctx, dialMax)
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}
	}
	return nil, errRefused
}

// Unplug says whether the machine is off, too, while the control plane is away.
func (p *Plane) Unplug(yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.off = yes
}

// Store is the database of a control plane that runs.
func (p *Plane) Store() *store.Store { return p.current().store }

// token makes one, whose secret is its kind and name.
func (p *Plane) token(kind store.TokenKind, name string) (secret string, err error) {
	secret = map[store.TokenKind]string{store.DeviceToken: "rt_", store.PersonalToken: "rp_"}[kind] + name
	_, err = p.Store().AddToken(context.Background(), kind, "owner", api.NewToken{Name: name}, sha256.Sum256([]byte(secret)), time.Now())
	return secret, err
}

package main

import (
	"context"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
)

// starting is the time before there is a session: a signal gives it up, a second
// one ends the program as signals do.
type starting struct {
	ctx     context.Context
	cancel  context.CancelFunc
	signals chan os.Signal // capacity 4: more than a person sends in a moment
	stop    chan struct{}  // closed by release and handOver
	once    sync.Once
	ended   chan struct{} // closed when the goroutine has ended
	got     []os.Signal   // by the goroutine; read after ended
}

func newStarting(ctx context.Context) *starting {
	ctx, cancel := context.WithCancel(ctx)
	s := &starting{
		ctx: ctx, cancel: cancel, signals: make(chan os.Signal, 4),
		stop: make(chan struct{}), ended: make(chan struct{}),
	}
	s.notify()
	go func() {
		defer close(s.ended)
		select {
		case sig := <-s.signals:
			signal.Stop(s.signals)
			s.got = append(s.got, sig)
			cancel()
		case <-s.stop:
		}
	}()
	return s
}

func (s *starting) notify() { signal.Notify(s.signals, os.Interrupt, syscall.SIGTERM) }

// handOver ends the time of starting; signals go to the session from now on,
// those that came first as early.
func (s *starting) handOver() (signals <-chan os.Signal, early []os.Signal) {
	s.once.Do(func() { close(s.stop) })
	<-s.ended
	if len(s.got) > 0 {
		s.notify()
	}
	return s.signals, slices.Clone(s.got)
}

func (s *starting) release() {
	s.handOver()
	signal.Stop(s.signals)
	s.cancel()
}

// givenUp is context.Canceled in words for people.
type givenUp struct{}

var errGivenUp error = givenUp{}

func (givenUp) Error() string        { return "cancelled before the session had begun" }
func (givenUp) Is(target error) bool { return target == context.Canceled }

// explain makes an error that a signal caused a cancellation.
func (s *starting) explain(err error) error {
	if s.ctx.Err() != nil {
		return errGivenUp
	}
	return err
}

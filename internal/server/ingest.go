package server

import (
	"net/http"
	"strconv"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/store"
)

// ingest stores a batch of events. What it answers is on disk.
func (s *Server) ingest(c *call) error {
	err := s.storeBatch(c)
	if err != nil {
		s.metrics.refused.Add(1)
	}
	return err
}

func (s *Server) storeBatch(c *call) error {
	b := store.Batch{Session: c.r.PathValue("id"), Runner: c.by.Runner}
	token, err := header(c, api.HeaderLease)
	if err != nil {
		return err
	}
	b.Token = token
	first, err := header(c, api.HeaderFirst)
	if err != nil {
		return err
	}
	data, release, err := s.readBatch(c)
	if err != nil {
		return err
	}
	defer release()
	if b.Events, err = parseBatch(data, b.Session, uint64(first)); err != nil {
		return err
	}
	done, err := s.store.Append(c.ctx(), b)
	if err != nil {
		return err
	}
	if done.New > 0 {
		s.hub.wake(b.Session)
	}
	s.metrics.stored(done.New, s.now().Sub(b.Events[0].Time))
	upload := s.dispatch.Appended(b.Session, done)
	c.json(http.StatusAccepted, api.Acked{Acked: done.Acked, UploadMS: upload})
	return nil
}

// header is a number of the request's header that has to be there.
func header(c *call, name string) (int64, error) {
	n, err := strconv.ParseInt(c.r.Header.Get(name), 10, 64)
	if err != nil || n < 1 {
		return 0, invalid("the header " + name + " is missing or no number from 1 on")
	}
	return n, nil
}

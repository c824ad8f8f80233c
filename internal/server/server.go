// Package server is the control plane's HTTP API and its few pages.
//
//	runner --sync--> held until the dispatcher has something to say
//	runner --events--> decode, check -> store -> hub wakes readers, dispatcher hears of it
//	person --SSE--> rows after the last one that it has, then waits for the hub
//
// Handlers return errors; one table (problem.go) makes answers of them. What lasts is in
// the store, who is connected is the dispatcher's; the server itself keeps who waits on
// it, so that a revoked token or the end of the process ends that at once. The document
// openapi.yaml describes every call; the tests hold it against all that they send.
//
// The package does no scheduling and knows no agent.
package server

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/sprawlto/ratchetai-runner/internal/api"
)

// Config is what a server is made of.
type Config struct {
	Store      Store
	Dispatcher Dispatcher
	// Metrics are the dispatcher's observer, too. A server has its own.
	Metrics *Metrics
	Log     logrus.FieldLogger
	// Version of the program, for people.
	Version string
	// Public is the address that people use, with a path if the API is below one: in
	// links, for the cookie, and as an origin that is trusted. Nil: whatever they typed.
	Public *url.URL
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Server answers the API. Make one with New.
type Server struct {
	store     Store
	dispatch  Dispatcher
	log       logrus.FieldLogger
	version   string
	public    *url.URL
	now       func() time.Time
	bodyTime  time.Duration // see the constants; shorter in tests
	writeTime time.Duration

	hub      hub
	held     held
	uploads  budget
	decoders decoders
	callers  callers
	hashing  chan struct{} // a place for each password that is hashed at a time
	logins   throttle
	setup    sync.Mutex // over what makes the owner
	metrics  *Metrics
	handler  http.Handler
}

// errStopping ends what is held when the server stops.
var errStopping = errors.New("the control plane is stopping")

// New returns a server. It starts nothing: see Handler and Stop.
func New(c Config) *Server {
	s := &Server{
		store: c.Store, dispatch: c.Dispatcher, log: c.Log, version: c.Version, public: c.Public, now: c.Now,
		uploads: budget{left: uploadsMax},
		hashing: make(chan struct{}, hashesMax),
		metrics: c.Metrics, bodyTime: bodyTime, writeTime: writeTime,
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.public == nil {
		s.public = &url.URL{}
	}
	s.handler = s.wrap(s.mux())
	return s
}

// Handler is the whole server.
func (s *Server) Handler() http.Handler { return s.handler }

// Stop ends held polls and streams; whoever was held is told to come back. Other
// requests go on.
func (s *Server) Stop() { s.held.endAll(errStopping) }

func (s *Server) mux() *http.ServeMux {
	m := http.NewServeMux()
	for _, r := range s.routes() {
		m.Handle(r.pattern, s.serve(r))
	}
	m.Handle("/", s.serve(route{handle: func(c *call) error {
		return &api.Error{Code: api.CodeNotFound, Message: "there is nothing at " + c.r.Method + " " + c.r.URL.Path, Hint: "GET /api/v1/openapi.yaml lists all calls"}
	}}))
	return m
}

// wrap is what every request goes through.
func (s *Server) wrap(next http.Handler) http.Handler {
	origins := http.NewCrossOriginProtection()
	if s.public.Host != "" {
		// Behind a proxy, Host may be an inner name.
		if err := origins.AddTrustedOrigin(s.public.Scheme + "://" + s.public.Host); err != nil {
			s.log.WithError(err).Warn("the public address is no origin")
		}
	}
	prefix := strings.TrimRight(s.public.Path, "/")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(api.HeaderProtocol, "1")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		s.limitTime(w, r)
		if rest, ok := strings.CutPrefix(r.URL.Path, prefix+"/"); ok && prefix != "" {
			r.URL.Path, r.URL.RawPath = "/"+rest, "" // a proxy may also have cut it off
		}
		// A browser adds a password for a proxy, Authorization: Basic, to any page's request.
		if err := origins.Check(r); err != nil && bearer(r) == "" {
			s.fail(&call{w: w, r: r}, &api.Error{Code: api.CodeForbidden, Message: "a page of another site sent this request", Hint: "open the control plane by its public address (serve --public-url)"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

package modelapi

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// maxBody bounds what one request may send; the vendors' own limit is 32 MB.
const maxBody = 64 << 20

// Server is both vendors' API on one loopback address. All methods are safe for
// concurrent use. It is an [http.Handler] too, for tests that need another
// listener or TLS; then only the records and scripts are the Server's.
type Server struct {
	listener net.Listener
	http     *http.Server
	mux      *http.ServeMux
	done     chan struct{} // closed when the accept loop has ended; nothing is sent
	handlers sync.WaitGroup
	logins   logins

	mu      sync.Mutex
	scripts scripts
	log     record
}

// New starts a server on a free port of 127.0.0.1. turns are the default script:
// every conversation that no [Server.Script] names plays it from its start. The
// caller closes the server.
func New(turns ...Turn) (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("model api: %w", err)
	}
	s := &Server{listener: listener, done: make(chan struct{}), scripts: newScripts(turns), logins: newLogins()}
	s.mux = s.routes()
	s.http = &http.Server{Handler: s}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(listener) // always ErrServerClosed, from Close
	}()
	return s, nil
}

// URL is the server's base, such as http://127.0.0.1:41234. Claude takes it as it
// is, Codex with /v1 added.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// Addr is the host and port of [Server.URL].
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close cuts every connection, ends hanging replies and waits for them.
func (s *Server) Close() error {
	err := s.http.Close()
	<-s.done
	s.handlers.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil // a second Close
	}
	return err
}

// Script sets what conversations with this key hear, in place of an earlier
// script of the key. The package documentation says what a key can be.
func (s *Server) Script(key string, turns ...Turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scripts.set(key, turns)
}

// Left says how many turns of the key's script nobody has taken yet; a turn that
// repeats counts as one. An unknown key has none.
func (s *Server) Left(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.scripts.left(key)
}

// ServeHTTP answers one request of either vendor's client.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.handlers.Add(1)
	defer s.handlers.Done()
	s.mux.ServeHTTP(w, r)
}

func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("HEAD /{$}", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /v1/messages", s.checked(anthropic, s.serveMessages))
	mux.HandleFunc("POST /v1/messages/count_tokens", s.checked(anthropic, s.serveCountTokens))
	for _, base := range []string{"/v1", "/backend-api/codex"} { // with a key, with a ChatGPT login
		mux.HandleFunc("POST "+base+"/responses", s.checked(openai, s.serveResponses))
		mux.HandleFunc("GET "+base+"/responses", s.checked(openai, s.serveUpgrade))
		mux.HandleFunc("GET "+base+"/models", s.checked(openai, s.serveModels))
	}
	mux.HandleFunc("POST /v1/oauth/token", s.serveToken)
	mux.HandleFunc("POST /oauth/token", s.serveToken)
	mux.HandleFunc("POST /api/accounts/deviceauth/usercode", s.serveUserCode)
	mux.HandleFunc("POST /api/accounts/deviceauth/token", s.serveDeviceToken)
	mux.HandleFunc("GET /api/oauth/profile", s.checked(anthropic, s.serveProfile))
	mux.HandleFunc("GET /backend-api/wham/accounts/check", s.checked(openai, s.serveAccounts))
	mux.HandleFunc("/", s.serveNotFound)
	return mux
}

// serveNotFound records what the agents ask for beyond the API, because a test
// may want to know that they do not.
func (s *Server) serveNotFound(w http.ResponseWriter, r *http.Request) {
	s.take(r, readBody(w, r), "", true)
	writeError(w, vendorOf(r), Turn{Status: http.StatusNotFound})
}

// readBody decompresses what Codex sends with a ChatGPT login.
func readBody(w http.ResponseWriter, r *http.Request) []byte {
	var in io.Reader = http.MaxBytesReader(w, r.Body, maxBody)
	if r.Header.Get("Content-Encoding") == "zstd" {
		plain, err := zstd.NewReader(in)
		if err != nil {
			return nil
		}
		defer plain.Close()
		in = io.LimitReader(plain, maxBody)
	}
	body, _ := io.ReadAll(in) // a broken body fails to decode
	return body
}

// take records the request and finds its turn. A request on the side has none.
func (s *Server) take(r *http.Request, body []byte, conversation string, side bool) Turn {
	token := tokenOf(r)
	if conversation == "" {
		conversation = token
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key, turn := s.scripts.next(conversation, token, body, side)
	s.log.add(Request{
		Method: r.Method, Path: r.URL.Path, Header: r.Header.Clone(), Body: body,
		Key: key, Token: token, Conversation: conversation, Side: side,
	})
	return turn
}

// tokenOf returns the credential of a request, "" when it has none.
func tokenOf(r *http.Request) string {
	if key := r.Header.Get("X-Api-Key"); key != "" {
		return key
	}
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
}

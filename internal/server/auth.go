package server

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/store"
)

// cookieName is the browser's token.
const cookieName = "ratchetai_session"

// errRevoked ends what is held with a token that was revoked.
var errRevoked = errors.New("the token was revoked")

func errNoToken() *api.Error {
	return &api.Error{Code: api.CodeUnauthorized, Message: "the token is missing, wrong, expired or revoked",
		Hint: "send it as Authorization: Bearer rp_… (people) or rt_… (runners)"}
}

// authenticate sets the caller, or refuses.
func (s *Server) authenticate(c *call, who audience) error {
	if who == anyone {
		return nil
	}
	secret, cookie := credential(c.r)
	by, err := s.lookup(c, secret)
	if err != nil {
		return err
	}
	device := by.Kind == store.DeviceToken
	switch {
	case by.Kind == store.SetupToken, cookie != (by.Kind == store.BrowserToken):
		return errNoToken() // a cookie is no bearer, and the other way round
	case device && who == people:
		return &api.Error{Code: api.CodeForbidden, Message: "this is a runner's token", Hint: "people use a personal token (rp_…)"}
	case !device && who == devices:
		return &api.Error{Code: api.CodeForbidden, Message: "this is a person's token", Hint: "runners use a device token (rt_…): device add NAME"}
	}
	c.by = by
	return nil
}

// hold makes c one that waits: the context ends, with the cause, when its token is
// revoked or the server stops. The caller calls release.
func (s *Server) hold(c *call) (ctx context.Context, release func(), err error) {
	ctx, release = s.held.hold(c.ctx(), c.by.Token)
	// It may have been revoked since c was let in, before there was anything to end.
	secret, _ := credential(c.r)
	if _, err := s.lookup(c, secret); err != nil {
		release()
		return nil, nil, err
	}
	return ctx, release, nil
}

// lookup returns who a secret stands for.
func (s *Server) lookup(c *call, secret string) (store.Caller, error) {
	if secret == "" {
		return store.Caller{}, errNoToken()
	}
	sum, now := digest(secret), s.now()
	by, ok, era := s.callers.get(sum, now)
	if ok {
		return by, nil
	}
	var err error
	aside(func() { by, err = s.store.Lookup(c.ctx(), sum, now) })
	if errors.Is(err, store.ErrNotFound) {
		return by, errNoToken()
	}
	if err == nil {
		s.callers.put(sum, by, now, era)
	}
	return by, err
}

// credential is the secret that a request brings, and whether as a cookie.
func credential(r *http.Request) (secret string, cookie bool) {
	if secret = bearer(r); secret != "" {
		return secret, false
	}
	k, err := r.Cookie(cookieName)
	if err != nil {
		return "", false
	}
	return k.Value, true
}

func bearer(r *http.Request) string {
	kind, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(kind, "Bearer") {
		return ""
	}
	return strings.TrimSpace(secret)
}

// callers remembers for a few seconds who a token stands for: runners upload many
// times a second. Its zero value is empty.
type callers struct {
	mu    sync.Mutex
	known map[[32]byte]knownCaller
	era   int // one more at each forget
}

type knownCaller struct {
	by    store.Caller
	until time.Time
}

const (
	callersTime = 5 * time.Second
	callersMax  = 10_000
)

func (k *callers) get(sum [32]byte, now time.Time) (by store.Caller, ok bool, era int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c, ok := k.known[sum]
	return c.by, ok && now.Before(c.until), k.era
}

// put remembers what was looked up in an era, unless that is over.
func (k *callers) put(sum [32]byte, by store.Caller, now time.Time, era int) {
	if by.Kind == store.DeviceToken && by.Runner == "" {
		return // its first sync says which runner it is
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if era != k.era {
		return
	}
	if k.known == nil || len(k.known) >= callersMax {
		k.known = map[[32]byte]knownCaller{}
	}
	k.known[sum] = knownCaller{by, now.Add(callersTime)}
}

// forget makes the next request with any token look it up again.
func (k *callers) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known = nil
	k.era++
}

package modelapi

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Hosts are the vendors' hosts that a Front can stand in for.
func Hosts() []string {
	return []string{"api.anthropic.com", "platform.claude.com", "chatgpt.com", "auth.openai.com", "api.openai.com"}
}

// Login is a subscription's login as one moment has it: each renewal replaces
// all tokens of it.
type Login struct {
	Access, Refresh string
	ID              string // Codex only
	Expires         time.Time

	account string // Codex only
}

// LoginStats is what happened to all logins of a server.
type LoginStats struct {
	Renewed int // a refresh token was exchanged for new tokens
	Races   int // a refresh token was spent again, which a vendor takes for theft
	Refused int // a request of an agent came with a token that had ended
	Served  int // a request came with a valid one
}

// logins are the tokens that the server has issued. Tokens that it has not
// issued are not checked.
type logins struct {
	mu     sync.Mutex
	serial int
	access map[string]time.Time    // access token -> when it ends
	fresh  map[string]*loginFamily // refresh token -> its login
	refuse map[*loginFamily]bool   // renewals are rejected
	signIn time.Duration           // life of the logins of people who sign in; 0: nobody can
	stats  LoginStats
}

// loginFamily is what one person's login has in common with all its renewals.
type loginFamily struct {
	vendor vendor
	name   string
	life   time.Duration
	unused string // the one refresh token that is not spent
}

// ClaudeLogin and CodexLogin issue a login whose access tokens live for life,
// those of its renewals too. name makes the tokens tell where they come from.
func (s *Server) ClaudeLogin(name string, life time.Duration) Login {
	return s.logins.issue(&loginFamily{vendor: anthropic, name: name, life: life})
}

// CodexLogin is ClaudeLogin for a ChatGPT login.
func (s *Server) CodexLogin(name string, life time.Duration) Login {
	return s.logins.issue(&loginFamily{vendor: openai, name: name, life: life})
}

// RefuseRenewals makes the server reject every refresh token that was issued so
// far, as a vendor does when a person has signed out everywhere.
func (s *Server) RefuseRenewals() {
	s.logins.mu.Lock()
	defer s.logins.mu.Unlock()
	for _, f := range s.logins.fresh {
		s.logins.refuse[f] = true
	}
}

// AcceptSignIns lets people sign in, with the code "good-code" for Claude and any
// for Codex, for logins whose tokens live for life.
func (s *Server) AcceptSignIns(life time.Duration) {
	s.logins.mu.Lock()
	defer s.logins.mu.Unlock()
	s.logins.signIn = life
}

func (l *logins) accepts() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.signIn
}

// LoginStats returns the counts so far.
func (s *Server) LoginStats() LoginStats {
	s.logins.mu.Lock()
	defer s.logins.mu.Unlock()
	return s.logins.stats
}

func newLogins() logins {
	return logins{access: map[string]time.Time{}, fresh: map[string]*loginFamily{}, refuse: map[*loginFamily]bool{}}
}

func (l *logins) issue(f *loginFamily) Login {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serial++
	now := time.Now()
	n := Login{Expires: now.Add(f.life)}
	if f.vendor == anthropic {
		n.Access = fmt.Sprintf("sk-ant-oat01-FAKE-%s-%06d", f.name, l.serial)
		n.Refresh = fmt.Sprintf("sk-ant-ort01-FAKE-%s-%06d", f.name, l.serial)
	} else {
		claims := map[string]any{
			"sub": f.name, "iat": now.Unix(), "exp": n.Expires.Unix(), "jti": l.serial,
			"https://api.openai.com/auth": map[string]any{"chatgpt_plan_type": "plus", "chatgpt_account_id": "acct-" + f.name},
		}
		n.Access, n.ID, n.account = fakeJWT(claims), fakeJWT(claims), "acct-"+f.name
		n.Refresh = fmt.Sprintf("rt_FAKE-%s-%06d", f.name, l.serial)
	}
	f.unused = n.Refresh
	l.access[n.Access], l.fresh[n.Refresh] = n.Expires, f
	return n
}

// renew exchanges a refresh token; code is the vendor's error when it cannot.
func (l *logins) renew(refresh string) (n Login, f *loginFamily, code string) {
	l.mu.Lock()
	f = l.fresh[refresh]
	switch {
	case f == nil:
		code = "invalid_grant"
	case f.unused != refresh:
		l.stats.Races++
		code = "refresh_token_reused"
	case l.refuse[f]:
		code = "invalid_grant"
	default:
		l.stats.Renewed++
	}
	l.mu.Unlock()
	if code != "" {
		return Login{}, f, code
	}
	return l.issue(f), f, ""
}

// valid reports whether a request with this token is served, and counts it.
func (l *logins) valid(token string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	ends, issued := l.access[token]
	switch {
	case !issued:
	case time.Now().After(ends):
		l.stats.Refused++
		return false
	default:
		l.stats.Served++
	}
	return true
}

// File is the login file that the vendor's CLI would have written.
func (l Login) File() []byte {
	var file any = object{"claudeAiOauth": object{
		"accessToken": l.Access, "refreshToken": l.Refresh, "expiresAt": l.Expires.UnixMilli(),
		"scopes": []string{"user:inference", "user:profile"}, "subscriptionType": "max",
	}}
	if l.ID != "" {
		file = object{"auth_mode": "chatgpt", "OPENAI_API_KEY": nil, "tokens": object{
			"id_token": l.ID, "access_token": l.Access, "refresh_token": l.Refresh, "account_id": l.account,
		}, "last_refresh": time.Now().UTC().Format(time.RFC3339)}
	}
	data, _ := json.Marshal(file) // strings and numbers
	return data
}

// SetLife changes how long the tokens of later renewals live.
func (s *Server) SetLife(life time.Duration) {
	s.logins.mu.Lock()
	defer s.logins.mu.Unlock()
	for _, f := range s.logins.fresh {
		f.life = life
	}
}

// Unspent reports whether refresh is a refresh token that can still be exchanged.
func (s *Server) Unspent(refresh string) bool {
	s.logins.mu.Lock()
	defer s.logins.mu.Unlock()
	f := s.logins.fresh[refresh]
	return f != nil && f.unused == refresh && !s.logins.refuse[f]
}

func fakeJWT(claims any) string {
	part := func(v any) string {
		data, _ := json.Marshal(v) // maps of strings and numbers
		return base64.RawURLEncoding.EncodeToString(data)
	}
	return part(map[string]string{"alg": "RS256"}) + "." + part(claims) + "." + strings.Repeat("c2lnbmF0dXJl", 8)
}

// checked serves h only to requests whose token has not ended.
func (s *Server) checked(v vendor, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.logins.valid(tokenOf(r)) {
			s.take(r, readBody(w, r), "", true)
			writeError(w, v, Turn{Status: http.StatusUnauthorized, Text: "the token has expired"})
			return
		}
		h(w, r)
	}
}

package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/store"
)

// browserTime is how long a browser stays signed in.
const browserTime = 30 * 24 * time.Hour

// SetupLink makes a new one-time link with which the owner is made, unless there is an
// owner: then it is empty. Earlier links end.
func (s *Server) SetupLink(ctx context.Context) (string, error) {
	s.setup.Lock()
	defer s.setup.Unlock()
	if _, _, err := s.store.Owner(ctx); !errors.Is(err, store.ErrNotFound) {
		return "", err
	}
	if err := s.endAll(ctx, store.SetupToken); err != nil {
		return "", err
	}
	secret := newSecret(store.SetupToken)
	_, err := s.store.AddToken(ctx, store.SetupToken, "", api.NewToken{Name: "setup"}, digest(secret), s.now())
	return "/setup?token=" + secret, err
}

// endAll revokes all tokens of a kind.
func (s *Server) endAll(ctx context.Context, kind store.TokenKind) error {
	ended, err := s.store.RevokeTokens(ctx, kind, s.now())
	for _, id := range ended {
		s.revoked(id)
	}
	return err
}

// SetOwner makes the owner, or changes name or password: then browsers have to sign in
// again. Setup links end.
func (s *Server) SetOwner(ctx context.Context, name, password string) error {
	s.setup.Lock()
	defer s.setup.Unlock()
	old, hash, err := s.store.Owner(ctx)
	if err == nil && old == name {
		if same, err := s.checkPassword(ctx, password, hash); err == nil && same {
			return nil
		}
	}
	if err := s.setOwner(ctx, name, password); err != nil {
		return err
	}
	return s.endAll(ctx, store.BrowserToken)
}

func (s *Server) setOwner(ctx context.Context, name, password string) error {
	if err := checkOwner(name, password); err != nil {
		return err
	}
	hash, err := s.hashPassword(ctx, password)
	if err != nil {
		return err
	}
	if err := s.store.SetOwner(ctx, name, hash); err != nil {
		return err
	}
	return s.endAll(ctx, store.SetupToken)
}

func checkOwner(name, password string) error {
	switch {
	case strings.TrimSpace(name) == "" || !plain(name):
		return invalid("the name is empty, too long or no plain text")
	case len(password) < passwordMin:
		return invalid(fmt.Sprintf("the password has fewer than %d characters", passwordMin))
	case len(password) > passwordMax:
		return invalid(fmt.Sprintf("the password has more than %d bytes", passwordMax))
	}
	return nil
}

// setUp is POST /api/v1/setup.
func (s *Server) setUp(c *call) error {
	var in api.Setup
	if err := c.decode(&in, formMax); err != nil {
		return err
	}
	if err := s.useSetup(c, in); err != nil {
		return err
	}
	return s.signIn(c, in.Name)
}

// useSetup makes the owner if the link's token is the valid one.
func (s *Server) useSetup(c *call, in api.Setup) error {
	s.setup.Lock()
	defer s.setup.Unlock()
	by, err := s.lookup(c, in.Token)
	if err != nil || by.Kind != store.SetupToken {
		return &api.Error{Code: api.CodeUnauthorized, Message: "this set-up link is not valid, or was used already",
			Hint: "serve prints a new one when it starts, as long as there is no owner"}
	}
	// The process may have ended between the owner's making and the link's end.
	switch _, _, err := s.store.Owner(c.ctx()); {
	case err == nil:
		return &api.Error{Code: api.CodeUnauthorized, Message: "there is an owner already", Hint: "sign in"}
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	if err := s.setOwner(c.ctx(), in.Name, in.Password); err != nil {
		return err
	}
	s.callers.forget()
	c.by = store.Caller{User: in.Name}
	s.audit(c, "owner.create", in.Name, "")
	return nil
}

// login is POST /api/v1/login.
func (s *Server) login(c *call) error {
	var in api.Login
	if err := c.decode(&in, formMax); err != nil {
		return err
	}
	if err := s.checkLogin(c, in); err != nil {
		return err
	}
	return s.signIn(c, in.Name)
}

// checkLogin compares name and password with the owner's. It takes as long for a wrong
// name as for a wrong password.
func (s *Server) checkLogin(c *call, in api.Login) error {
	from := network(address(c.r))
	if pause := s.logins.try(from, s.now()); pause > 0 {
		return &api.Error{Code: api.CodeTooMany, Message: "too many failed logins from this address", RetryAfterMS: pause.Milliseconds() + 1}
	}
	wrong := &api.Error{Code: api.CodeUnauthorized, Message: "name or password is wrong"}
	name, hash, err := s.store.Owner(c.ctx())
	if errors.Is(err, store.ErrNotFound) {
		return &api.Error{Code: api.CodeUnauthorized, Message: "there is no owner yet", Hint: "open the link that serve printed when it started"}
	}
	if err != nil {
		return err
	}
	ok := len(in.Password) <= passwordMax
	if ok {
		if ok, err = s.checkPassword(c.ctx(), in.Password, hash); err != nil {
			return err
		}
	}
	if !ok || in.Name != name {
		s.audit(c, "login.failed", "", "")
		return wrong
	}
	s.logins.succeed(from)
	return nil
}

// signIn answers with a cookie for the browser.
func (s *Server) signIn(c *call, name string) error {
	if err := s.giveCookie(c, name); err != nil {
		return err
	}
	c.json(http.StatusOK, api.Me{Name: name, Kind: string(store.BrowserToken), Version: s.version})
	return nil
}

func (s *Server) giveCookie(c *call, name string) error {
	secret, until := newSecret(store.BrowserToken), s.now().Add(browserTime)
	agent := strings.ToValidUTF8(c.r.UserAgent(), "")
	if agent = agent[:min(len(agent), 100)]; !plain(agent) || agent == "" {
		agent = "browser"
	}
	t, err := s.store.AddToken(c.ctx(), store.BrowserToken, name, api.NewToken{Name: agent, ExpiresAt: &until}, digest(secret), s.now())
	if err != nil {
		return err
	}
	http.SetCookie(c.w, s.cookie(secret, until))
	c.by = store.Caller{User: name}
	s.audit(c, "login", t.ID, agent)
	return nil
}

func (s *Server) cookie(secret string, until time.Time) *http.Cookie {
	return &http.Cookie{Name: cookieName, Value: secret, Path: s.link("/"), Expires: until,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: s.public.Scheme == "https"}
}

// link is a path of the server as browsers see it.
func (s *Server) link(path string) string { return strings.TrimRight(s.public.Path, "/") + path }

// logout is POST /api/v1/logout: it ends the token that it is called with.
func (s *Server) logout(c *call) error {
	if err := s.signOut(c); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) signOut(c *call) error {
	if _, err := s.store.RevokeToken(c.ctx(), c.by.Kind, c.by.Token, s.now()); err != nil {
		return err
	}
	s.revoked(c.by.Token)
	gone := s.cookie("", time.Unix(1, 0))
	gone.MaxAge = -1
	http.SetCookie(c.w, gone)
	s.audit(c, "logout", c.by.Token, "")
	return nil
}

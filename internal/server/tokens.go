package server

import (
	"context"
	"net/http"
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

func (s *Server) addDevice(c *call) error    { return s.createToken(c, store.DeviceToken, "device.add") }
func (s *Server) addToken(c *call) error     { return s.createToken(c, store.PersonalToken, "token.add") }
func (s *Server) listDevices(c *call) error  { return s.tokens(c, store.DeviceToken) }
func (s *Server) listTokens(c *call) error   { return s.tokens(c, store.PersonalToken) }
func (s *Server) listBrowsers(c *call) error { return s.tokens(c, store.BrowserToken) }
func (s *Server) revokeDevice(c *call) error { return s.revoke(c, store.DeviceToken, "device.revoke") }
func (s *Server) revokeToken(c *call) error  { return s.revoke(c, store.PersonalToken, "token.revoke") }
func (s *Server) revokeBrowser(c *call) error {
	return s.revoke(c, store.BrowserToken, "browser.revoke")
}

// createToken answers with a new token, whose secret is shown this once.
func (s *Server) createToken(c *call, kind store.TokenKind, action string) error {
	var n api.NewToken
	if err := c.decode(&n, bodyMax); err != nil {
		return err
	}
	n.Name = strings.TrimSpace(n.Name)
	switch {
	case n.Name == "" || !plain(n.Name):
		return invalid("the token needs a name, of one line and at most 200 bytes")
	case kind != store.DeviceToken && len(n.Labels) > 0:
		return invalid("only a device has labels")
	case len(n.Labels) > task.ListMax:
		return invalid("the token has more than 64 labels")
	case n.ExpiresAt != nil && !n.ExpiresAt.After(s.now()):
		return invalid("expires_at is over already")
	}
	for _, label := range n.Labels {
		if label == "" || !plain(label) {
			return invalid("a label is empty, too long or no plain text")
		}
	}
	t, err := s.IssueToken(c.ctx(), kind, c.by.User, n)
	if err != nil {
		return err
	}
	s.audit(c, action, t.ID, n.Name)
	c.json(http.StatusCreated, t)
	return nil
}

func (s *Server) tokens(c *call, kind store.TokenKind) error {
	all, err := s.store.Tokens(c.ctx(), kind)
	if err != nil {
		return err
	}
	c.json(http.StatusOK, api.Tokens{Tokens: list(all)})
	return nil
}

// revoke ends a token, and at once what is held with it.
func (s *Server) revoke(c *call, kind store.TokenKind, action string) error {
	t, err := s.store.RevokeToken(c.ctx(), kind, c.r.PathValue("id"), s.now())
	if err != nil {
		return err
	}
	s.revoked(t.ID)
	s.audit(c, action, t.ID, t.Name)
	c.json(http.StatusOK, t)
	return nil
}

// revoked makes what the store knows take effect here, in this order: see hold.
func (s *Server) revoked(token string) {
	s.callers.forget()
	s.held.end(token, errRevoked)
}

// IssueToken makes a token of this process's own, for what runs beside the server.
func (s *Server) IssueToken(ctx context.Context, kind store.TokenKind, user string, n api.NewToken) (api.CreatedToken, error) {
	secret := newSecret(kind)
	t, err := s.store.AddToken(ctx, kind, user, n, digest(secret), s.now())
	return api.CreatedToken{Token: t, Secret: secret}, err
}

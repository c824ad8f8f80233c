package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/store/sql"
)

// TokenKind says what a token is for.
type TokenKind string

// The kinds of tokens.
const (
	BrowserToken  TokenKind = "browser"  // a cookie
	PersonalToken TokenKind = "personal" // rp_…
	DeviceToken   TokenKind = "device"   // rt_…
	SetupToken    TokenKind = "setup"    // makes the owner, once
)

// usedEvery is how exactly a token's last use is known.
const usedEvery = time.Minute

// Caller is who a token stands for.
type Caller struct {
	Token  string // id
	Kind   TokenKind
	User   string // name; empty for a device
	Name   string // the token's
	Labels []string
	Runner string // of a device token: the runner that uses it, if any yet
}

// Owner returns the owner's name and password hash; ErrNotFound before the set-up.
func (s *Store) Owner(ctx context.Context) (name, passwordHash string, err error) {
	o, err := s.read.Owner(ctx)
	if err != nil {
		return "", "", fmt.Errorf("owner: %w", understand(s.dir, err))
	}
	return o.Name, o.Password, nil
}

// SetOwner makes the owner, or changes name and password.
func (s *Store) SetOwner(ctx context.Context, name, passwordHash string) error {
	err := s.write(ctx, 0, func(ctx context.Context, q *sql.Queries) error {
		return q.SetOwner(ctx, name, passwordHash)
	})
	if err != nil {
		return fmt.Errorf("owner: %w", err)
	}
	return nil
}

// AddToken stores a token by its SHA-256.
func (s *Store) AddToken(ctx context.Context, kind TokenKind, user string, n api.NewToken, sha256 [32]byte, now time.Time) (api.Token, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return api.Token{}, fmt.Errorf("token: %w", err)
	}
	labels, err := json.Marshal(n.Labels)
	if err != nil {
		return api.Token{}, fmt.Errorf("token: %w", err)
	}
	p := sql.InsertTokenParams{
		ID: id.String(), Kind: string(kind), Person: user, Name: n.Name, Labels: string(labels), Sha256: sha256[:],
		CreatedAt: nanos(now), ExpiresAt: nanosOf(n.ExpiresAt),
	}
	err = s.write(ctx, 0, func(ctx context.Context, q *sql.Queries) error { return q.InsertToken(ctx, p) })
	if err != nil {
		return api.Token{}, fmt.Errorf("token: %w", err)
	}
	return api.Token{ID: p.ID, Name: n.Name, Labels: n.Labels, CreatedAt: at(p.CreatedAt), ExpiresAt: atOrNil(p.ExpiresAt)}, nil
}

// Lookup returns who a token stands for; ErrNotFound if it is unknown, revoked or expired. That it was
// used is recorded, once a minute.
func (s *Store) Lookup(ctx context.Context, sha256 [32]byte, now time.Time) (Caller, error) {
	r, err := s.read.TokenBySHA256(ctx, sha256[:], nanos(now))
	if err != nil {
		return Caller{}, fmt.Errorf("token: %w", understand(s.dir, err))
	}
	if now.Sub(at(r.UsedAt)) >= usedEvery {
		// A disk that is full does not keep its owner out.
		_ = s.write(ctx, 0, func(ctx context.Context, q *sql.Queries) error { return q.TokenUsed(ctx, nanos(now), r.ID) })
	}
	return Caller{
		Token: r.ID, Kind: TokenKind(r.Kind), User: r.Person, Name: r.Name, Labels: toLabels(r.Labels), Runner: r.Runner,
	}, nil
}

// Tokens lists those of a kind that are not older than retention, newest first, at most 1000.
func (s *Store) Tokens(ctx context.Context, kind TokenKind) ([]api.Token, error) {
	rows, err := s.read.Tokens(ctx, string(kind))
	if err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	list := make([]api.Token, len(rows))
	for i, r := range rows {
		list[i] = api.Token{
			ID: r.ID, Name: r.Name, Labels: toLabels(r.Labels), CreatedAt: at(r.CreatedAt), ExpiresAt: atOrNil(r.ExpiresAt),
			UsedAt: atOrNil(r.UsedAt), RevokedAt: atOrNil(r.RevokedAt), Runner: r.Runner,
		}
	}
	return list, nil
}

// RevokeToken ends a valid token at once; id as in Task, or its name if that is unique.
func (s *Store) RevokeToken(ctx context.Context, kind TokenKind, id string, now time.Time) (api.Token, error) {
	var t sql.Token
	err := s.write(ctx, 0, func(ctx context.Context, q *sql.Queries) error {
		prefix, suffix := "", "" // no id is like these
		if partial(id) {
			prefix, suffix = id+"%", "%"+id
		}
		full, err := only(q.TokenIDs(ctx, sql.TokenIDsParams{Kind: string(kind), Prefix: prefix, Suffix: suffix, Name: id}))
		if err != nil {
			return err
		}
		if err := q.RevokeToken(ctx, nanos(now), full); err != nil {
			return err
		}
		t, err = q.Token(ctx, full)
		return err
	})
	if err != nil {
		return api.Token{}, fmt.Errorf("%s token %s: %w", kind, id, err)
	}
	return api.Token{
		ID: t.ID, Name: t.Name, Labels: toLabels(t.Labels), CreatedAt: at(t.CreatedAt), ExpiresAt: atOrNil(t.ExpiresAt),
		UsedAt: atOrNil(t.UsedAt), RevokedAt: atOrNil(t.RevokedAt),
	}, nil
}

// RevokeTokens ends all valid tokens of a kind at once, and returns their ids.
func (s *Store) RevokeTokens(ctx context.Context, kind TokenKind, now time.Time) (ids []string, err error) {
	err = s.write(ctx, 0, func(ctx context.Context, q *sql.Queries) (err error) {
		ids, err = q.RevokeTokens(ctx, nanos(now), string(kind))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s tokens: %w", kind, err)
	}
	return ids, nil
}

// toLabels reads what AddToken wrote.
func toLabels(data string) (labels []string) {
	_ = json.Unmarshal([]byte(data), &labels)
	return labels
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/store"
)

// upTokens is the name of the tokens that up makes.
const upTokens = "up on this machine"

// keepTokens returns the address and tokens by which this machine's runner and commands use
// cp. They are kept in the state directory, whose owner they stand for; those that are
// missing or were revoked are made anew.
func (a *app) keepTokens(ctx context.Context, cp *controlPlane, dir string) (localPlane, error) {
	at := a.localPlane()
	at.URL = cp.Local.String()
	who := a.userName()
	for _, t := range []struct {
		secret *string
		kind   store.TokenKind
		user   string
	}{{&at.Token, store.PersonalToken, who}, {&at.Device, store.DeviceToken, ""}} {
		good, err := valid(ctx, at.URL, *t.secret)
		if err != nil {
			return at, err
		}
		if good {
			continue
		}
		if t.kind == store.DeviceToken {
			if err := revokeLost(ctx, at); err != nil {
				return at, err
			}
		}
		made, err := cp.Server.IssueToken(ctx, t.kind, t.user, api.NewToken{Name: upTokens})
		if err != nil {
			return at, err
		}
		*t.secret = made.Secret
	}
	return at, writeLocalPlane(dir, at)
}

// revokeLost ends the device tokens that earlier ups made and whose secrets are gone, as
// behind a restored database: one of them has this machine's runner, which no other token
// could have until then.
func revokeLost(ctx context.Context, at localPlane) error {
	c, err := api.NewClient(at.URL, at.Token, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	all, err := c.Tokens(ctx, api.Devices)
	for _, t := range all.Tokens {
		if t.Name == upTokens && t.RevokedAt == nil {
			err = errors.Join(err, c.RevokeToken(ctx, api.Devices, t.ID))
		}
	}
	return err
}

// valid reports whether the control plane at address takes a token.
func valid(ctx context.Context, address, token string) (bool, error) {
	if token == "" {
		return false, nil
	}
	c, err := api.NewClient(address, token, nil)
	if err != nil {
		return false, err
	}
	defer c.Close()
	_, err = c.Me(ctx)
	var refused *api.Error
	if errors.As(err, &refused) && refused.Code == api.CodeUnauthorized {
		return false, nil
	}
	return err == nil, err
}

// writeLocalPlane replaces the file at once; only its owner can read it.
func writeLocalPlane(dir string, at localPlane) error {
	data, err := json.Marshal(at)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".local-*") // 0600
	if err != nil {
		return fmt.Errorf("keep tokens: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(data, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, localPlaneFile))
	}
	if err != nil {
		return fmt.Errorf("keep tokens: %w", err)
	}
	return nil
}

package server

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"

	"github.com/sprawlto/ratchetai-runner/internal/store"
)

// prefixes make a secret say what it is for, also to programs that look for secrets
// in the wrong places.
func prefix(kind store.TokenKind) string {
	switch kind {
	case store.DeviceToken:
		return "rt_"
	case store.PersonalToken:
		return "rp_"
	case store.SetupToken:
		return "rs_"
	}
	return "rb_"
}

// newSecret returns a secret of 256 random bits.
func newSecret(kind store.TokenKind) string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return prefix(kind) + base64.RawURLEncoding.EncodeToString(b[:])
}

// digest is what is stored of a secret. A secret of 256 random bits needs no salt and
// no slow hash, and looking its digest up tells an attacker nothing by its timing.
func digest(secret string) [32]byte { return sha256.Sum256([]byte(secret)) }

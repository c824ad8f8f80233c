package server

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Argon2id with the parameters that OWASP recommends: 19 MiB, two passes, one thread.
const (
	hashMemory = 19 << 10 // KiB
	hashPasses = 2
	hashBytes  = 32
	saltBytes  = 16
	hashesMax  = 2 // at a time, so that logins cannot take all memory
)

// The least and the most of a password, in bytes.
const (
	passwordMin = 8
	passwordMax = 1024
)

var errHash = errors.New("the stored password hash is damaged")

// hashPassword returns what is stored of a password.
func (s *Server) hashPassword(ctx context.Context, password string) (string, error) {
	var salt [saltBytes]byte
	_, _ = rand.Read(salt[:]) // never fails
	key, err := s.argon2(ctx, password, salt[:], hashMemory, hashPasses)
	if err != nil {
		return "", err
	}
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$%s$%s", argon2.Version, hashMemory, hashPasses, b64(salt[:]), b64(key)), nil
}

// checkPassword reports whether hash is of password.
func (s *Server) checkPassword(ctx context.Context, password, hash string) (bool, error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, errHash
	}
	var memory, passes uint32
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=1", &memory, &passes); err != nil || memory > 1<<20 || passes == 0 || passes > 100 {
		return false, errHash
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil {
		return false, errHash
	}
	want, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || len(want) != hashBytes {
		return false, errHash
	}
	key, err := s.argon2(ctx, password, salt, memory, passes)
	return err == nil && subtle.ConstantTimeCompare(key, want) == 1, err
}

func (s *Server) argon2(ctx context.Context, password string, salt []byte, memory, passes uint32) ([]byte, error) {
	select {
	case s.hashing <- struct{}{}:
		defer func() { <-s.hashing }()
		return argon2.IDKey([]byte(password), salt, passes, memory, 1, hashBytes), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

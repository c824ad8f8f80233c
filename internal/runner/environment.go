package runner

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/egress"
	"github.com/sprawlto/ratchetai-runner/sandbox"
	"github.com/sprawlto/ratchetai-runner/sandbox/pid1"
)

const (
	// loginDir is where the sandbox sees the projected login.
	loginDir = "/run/login"
	// caFile is where it sees the machine's CA certificates.
	caFile = "/run/ca.crt"
)

// caVariables name the file of CA certificates to the tools, for networks that
// inspect TLS: each tool has its own.
var caVariables = [...]string{
	"SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "REQUESTS_CA_BUNDLE", "PIP_CERT",
	"CODEX_CA_CERTIFICATE",
}

// trust returns the mount and the environment with which a session trusts the
// certificates in the host's file ca; nothing without one.
func trust(ca string) (mounts []sandbox.Mount, env []string) {
	if ca == "" {
		return nil, nil
	}
	for _, name := range caVariables {
		env = append(env, name+"="+caFile)
	}
	return []sandbox.Mount{{Source: ca, Target: caFile, ReadOnly: true}}, env
}

// environment is what every session has, then each of more in turn, the last
// winning.
func environment(more ...[]string) []string {
	env := map[string]string{
		"PATH": "/opt/ratchetai/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME": agent.Home, "LANG": "C.UTF-8", "TERM": "dumb", "TMPDIR": "/tmp",
	}
	proxy := egress.Env(pid1.ProxyAddr, sandbox.InitPath+" connect")
	for _, set := range append([][]string{proxy}, more...) {
		for _, e := range set {
			if k, v, ok := strings.Cut(e, "="); ok {
				env[k] = v
			}
		}
	}
	list := make([]string, 0, len(env))
	for _, k := range sortedKeys(env) {
		list = append(list, k+"="+env[k])
	}
	return list
}

// imagePath is the environment's PATH in an image of the user's choice, which may have
// tools anywhere.
func imagePath(from Image) []string {
	if from.Path == "" {
		return nil
	}
	return []string{"PATH=" + from.Path}
}

// placeProfile writes a ~/.profile that keeps PATH in login shells, by which Codex
// runs commands: /etc/profile sets another.
func placeProfile(home string, from Image) error {
	if from.Path == "" {
		return nil
	}
	name := filepath.Join(home, ".profile")
	text := "export PATH='" + strings.ReplaceAll(from.Path, "'", `'\''`) + "'\n"
	err := os.WriteFile(name, []byte(text), 0o644)
	if err == nil {
		err = os.Chmod(name, 0o644) // whatever our umask is, the agent has to read it
	}
	if err != nil {
		return fmt.Errorf("place profile: %w", err)
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

package runner

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/sprawlto/ratchetai-runner/sandbox"
)

const (
	// helperMax is how long a credential helper may take; it may ask a keychain.
	helperMax = 20 * time.Second
	// hubKey is what `docker login` calls Docker Hub.
	hubKey = "https://index.docker.io/v1/"
)

// dockerConfig is what `docker login` leaves behind: ~/.docker/config.json.
type dockerConfig struct {
	Auths map[string]struct {
		Auth          string `json:"auth"` // base64 of name:password
		Username      string `json:"username"`
		Password      string `json:"password"`
		IdentityToken string `json:"identitytoken"`
	} `json:"auths"`
	CredsStore  string            `json:"credsStore"`
	CredHelpers map[string]string `json:"credHelpers"`
}

// RegistryLogin returns the login that this machine's user has for the registry at
// host, as `docker login` stored it: in its file, or with a credential helper, which
// is run. Without one it is the zero value.
func RegistryLogin(ctx context.Context, host string, getenv func(string) string, home string) (sandbox.RegistryLogin, error) {
	dir := getenv("DOCKER_CONFIG")
	if dir == "" {
		dir = filepath.Join(home, ".docker")
	}
	name := filepath.Join(dir, "config.json")
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return sandbox.RegistryLogin{}, nil
	}
	var c dockerConfig
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err != nil {
		return sandbox.RegistryLogin{}, fmt.Errorf("login for %s: read %s: %w", host, name, err)
	}
	key := host
	if host == "docker.io" {
		key = hubKey
	}
	helper := c.CredsStore
	if h, ok := c.CredHelpers[key]; ok {
		helper = h
	}
	if helper != "" {
		return askHelper(ctx, helper, key)
	}
	return c.stored(key)
}

// stored reads the login for key from the file; older programs wrote keys as URLs.
func (c dockerConfig) stored(key string) (sandbox.RegistryLogin, error) {
	a, ok := c.Auths[key]
	for k, v := range c.Auths {
		if !ok && hostOf(k) == key {
			a = v
		}
	}
	l := sandbox.RegistryLogin{Username: a.Username, Password: a.Password, IdentityToken: a.IdentityToken}
	if a.Auth != "" {
		pair, err := base64.StdEncoding.DecodeString(a.Auth)
		if err != nil {
			return sandbox.RegistryLogin{}, fmt.Errorf("login for %s: its auth is not base64", key)
		}
		user, password, _ := strings.Cut(string(pair), ":")
		l.Username, l.Password = user, strings.TrimRight(password, "\x00")
	}
	return l, nil
}

func hostOf(key string) string {
	_, rest, found := strings.Cut(key, "://")
	if !found {
		rest = key
	}
	host, _, _ := strings.Cut(rest, "/")
	return host
}

// askHelper runs docker-credential-NAME, whose protocol is a host on stdin and JSON
// on stdout.
func askHelper(ctx context.Context, name, key string) (sandbox.RegistryLogin, error) {
	if strings.ContainsAny(name, "/\\") {
		return sandbox.RegistryLogin{}, fmt.Errorf("login for %s: %q is not the name of a credential helper", key, name)
	}
	ctx, cancel := context.WithTimeout(ctx, helperMax)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker-credential-"+name, "get")
	cmd.Stdin = strings.NewReader(key)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		if bytes.Contains(out, []byte("credentials not found")) {
			return sandbox.RegistryLogin{}, nil
		}
		if ctx.Err() != nil {
			err = errors.New("it did not answer in time")
		}
		return sandbox.RegistryLogin{}, fmt.Errorf("login for %s: docker-credential-%s: %w", key, name, err)
	}
	var got struct{ Username, Secret string }
	if err := json.Unmarshal(out, &got); err != nil {
		return sandbox.RegistryLogin{}, fmt.Errorf("login for %s: docker-credential-%s does not answer in JSON", key, name)
	}
	if got.Username == "<token>" {
		return sandbox.RegistryLogin{IdentityToken: got.Secret}, nil
	}
	return sandbox.RegistryLogin{Username: got.Username, Password: got.Secret}, nil
}

package runner

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sprawlto/ratchetai-runner/sandbox"
)

func TestRegistryLogin(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("docker-credential-fake", `#!/bin/sh
read -r host
case $host in
known) echo '{"ServerURL":"known","Username":"bot","Secret":"s1"}' ;;
token) echo '{"Username":"<token>","Secret":"t1"}' ;;
unknown) echo "credentials not found in native keychain"; exit 1 ;;
garbage) echo hello ;;
*) echo "keychain is locked"; exit 1 ;;
esac
`, 0o755)
	write("config.json", `{
	"auths": {
		"plain": {"auth": "dXNlcjpwYTpzcw=="},
		"https://old/v1/": {"username": "o", "password": "p"},
		"https://index.docker.io/v1/": {"auth": "aHViOmg="},
		"idp": {"identitytoken": "i1"},
		"broken": {"auth": "%"}
	},
	"credHelpers": {"known": "fake", "token": "fake", "unknown": "fake", "garbage": "fake", "locked": "fake", "none": "absent", "path": "../x"}
}`, 0o600)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	getenv := func(key string) string { return map[string]string{"DOCKER_CONFIG": dir}[key] }
	for host, want := range map[string]struct {
		sandbox.RegistryLogin
		err string
	}{
		"plain":     {RegistryLogin: sandbox.RegistryLogin{Username: "user", Password: "pa:ss"}},
		"old":       {RegistryLogin: sandbox.RegistryLogin{Username: "o", Password: "p"}},
		"docker.io": {RegistryLogin: sandbox.RegistryLogin{Username: "hub", Password: "h"}},
		"idp":       {RegistryLogin: sandbox.RegistryLogin{IdentityToken: "i1"}},
		"nobody":    {},
		"broken":    {err: "not base64"},
		"known":     {RegistryLogin: sandbox.RegistryLogin{Username: "bot", Password: "s1"}},
		"token":     {RegistryLogin: sandbox.RegistryLogin{IdentityToken: "t1"}},
		"unknown":   {},
		"garbage":   {err: "does not answer in JSON"},
		"locked":    {err: "docker-credential-fake"},
		"none":      {err: "docker-credential-absent"},
		"path":      {err: "not the name of a credential helper"},
	} {
		got, err := RegistryLogin(t.Context(), host, getenv, "")
		if got != want.RegistryLogin || (err == nil) != (want.err == "") || err != nil && !strings.Contains(err.Error(), want.err) {
			t.Errorf("%s: %+v, %v; want %+v", host, got, err, want)
		}
	}
	if got, err := RegistryLogin(t.Context(), "plain", func(string) string { return "" }, t.TempDir()); got != (sandbox.RegistryLogin{}) || err != nil {
		t.Errorf("without a file: %+v, %v", got, err)
	}
}

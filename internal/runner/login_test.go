package runner

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/credential"
)

// TestLinkLoginStaysInHome: a session that is taken over may have put a link to
// somewhere else in place of the agent's config directory.
func TestLinkLoginStaysInHome(t *testing.T) {
	t.Parallel()
	links := map[string]string{".credentials.json": ".credentials.json"}
	var owner *credential.Owner
	if os.Geteuid() == 0 {
		owner = &credential.Owner{UID: 1000, GID: 1000}
	}
	home, outside := filepath.Join(t.TempDir(), "home"), t.TempDir()
	if err := linkLogin(home, agent.Claude, links, owner); err != nil {
		t.Fatal(err)
	}
	if target, err := os.Readlink(filepath.Join(home, ".claude", ".credentials.json")); err != nil || target != "/run/login/.credentials.json" {
		t.Errorf("the login is %q, %v", target, err)
	}
	if err := linkLogin(home, agent.Claude, links, owner); err != nil {
		t.Errorf("again: %v", err)
	}
	for name, target := range map[string]string{"absolute": outside, "relative": "../" + filepath.Base(outside)} {
		t.Run(name, func(t *testing.T) {
			config := filepath.Join(home, ".claude")
			if err := os.RemoveAll(config); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(target, config); err != nil {
				t.Fatal(err)
			}
			if err := linkLogin(home, agent.Claude, links, owner); err != nil {
				t.Error(err)
			}
			if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
				t.Errorf("left outside of the home: %v, %v", left, err)
			}
		})
	}
}

// TestSecretValues: the value is taken as it is, whatever its letters become in capitals.
func TestSecretValues(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"plain", "caf\xe9", "ɐɐɐɐɐɐɐɐ", "ııııı", ""} {
		got := secretValues([]string{"HOME=/x", "my_Password=" + value})
		if len(got) != 1 || string(got[0]) != value {
			t.Errorf("of %q the secret is %q", value, got)
		}
	}
}

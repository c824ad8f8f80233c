package attack

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestRemainsIsDocumented: what is printed at the end stands in SECURITY.md.
func TestRemainsIsDocumented(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(data)), " ")
	for _, r := range Remains() {
		if !strings.Contains(text, r) {
			t.Errorf("docs/SECURITY.md does not say: %s", r)
		}
	}
}

// TestSecretsAreNotInTheProgram: an attack that looks for a secret in every file
// must not find it in itself.
func TestSecretsAreNotInTheProgram(t *testing.T) {
	t.Parallel()
	sources, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sources {
		data, err := os.ReadFile(s.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{refreshToken(), canary(), neighbour(), accessToken()} {
			if strings.Contains(string(data), secret) {
				t.Errorf("%s holds a secret", s.Name())
			}
		}
	}
}

func TestActsAreNamed(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, a := range acts() {
		checkName(t, seen, a.name, a.tried)
		if a.part == "" || a.judge == nil || a.held == "" {
			t.Errorf("%s is not complete", a.name)
		}
	}
}

func checkName(t *testing.T, seen map[string]bool, name, tried string) {
	t.Helper()
	if !regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`).MatchString(name) || len(name) > 24 || tried == "" {
		t.Errorf("bad name or description: %q, %q", name, tried)
	}
	if seen[name] {
		t.Errorf("%s stands twice", name)
	}
	seen[name] = true
}

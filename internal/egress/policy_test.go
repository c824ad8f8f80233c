package egress

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPolicy(t *testing.T) {
	t.Parallel()
	p, err := Parse("github", "example.com", "*.openai.com:443", "example.com")
	if err != nil {
		t.Fatal(err)
	}
	if p, err = p.Deny("auth.openai.com", "*.bad.example.com"); err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]Verdict{
		"github.com:443": Allowed, "github.com:22": Allowed, "github.com:80": NotListed, "gist.github.com:443": NotListed,
		"raw.githubusercontent.com:443": Allowed, "githubusercontent.com:443": NotListed,
		"api.openai.com:443": Allowed, "auth.openai.com:443": Denied, "AUTH.openai.com.:443": Denied,
		"auth.openai.com:8443": Denied, "a.bad.example.com:443": Denied, "bad.example.com:443": NotListed,
		"example.com:80": Allowed, "1.2.3.4:443": NotListed, "host.ratchet.internal:80": NotListed,
		"localhost:80": Denied, "169.254.169.254:80": Denied, "[::1]:443": Denied, "nas:80": Denied,
	} {
		if got := p.Check(target(t, in)); got != want {
			t.Errorf("Check(%s) = %s, want %s", in, got, want)
		}
	}
	want := []string{
		"*.githubusercontent.com:443", "*.openai.com:443", "api.github.com:443", "codeload.github.com:443", "example.com",
		"github.com:22", "github.com:443",
	}
	if diff := cmp.Diff(want, p.Allowed()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"*.bad.example.com", "auth.openai.com"}, p.Denied()); diff != "" {
		t.Error(diff)
	}
	if got := (Policy{}).Check(target(t, "example.com:443")); got != NotListed {
		t.Errorf("zero policy: %s", got)
	}
}

func TestPolicyAllowLeavesTheOriginal(t *testing.T) {
	t.Parallel()
	p, _ := Parse("a.example")
	q, err := p.Allow("b.example:22")
	if err != nil {
		t.Fatal(err)
	}
	b := target(t, "b.example:22")
	if p.Check(b) != NotListed || q.Check(b) != Allowed {
		t.Errorf("p %s, q %s", p.Check(b), q.Check(b))
	}
	if q, _ = q.Deny("b.example"); q.Check(b) != Denied {
		t.Error("a later denial does not win")
	}
	if q, _ = q.Allow("b.example:22"); q.Check(b) != Denied {
		t.Error("permission wins over a denial")
	}
}

func TestParseReportsEveryProblem(t *testing.T) {
	t.Parallel()
	p, err := Parse("example.com", "pakages", "*.com", "", "10.0.0.1", "127.1")
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 4 {
		t.Errorf("want 4 problems, got %q", lines)
	}
	if !strings.Contains(lines[0], `"pakages"`) || !strings.Contains(lines[0], "packages, github") {
		t.Errorf("no hint at presets: %s", lines[0])
	}
	if len(p.Allowed()) != 0 {
		t.Errorf("policy with its error: %v", p.Allowed())
	}
}

func TestPresetsParse(t *testing.T) {
	t.Parallel()
	for _, preset := range Presets() {
		p, err := Parse(preset.Name)
		if err != nil {
			t.Errorf("%s: %v", preset.Name, err)
		}
		if len(p.Allowed()) != len(preset.Rules) || preset.About == "" {
			t.Errorf("%s: %d of %d rules, about %q", preset.Name, len(p.Allowed()), len(preset.Rules), preset.About)
		}
	}
}

package credential

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	testAccess  = "access-token-0001"
	testRefresh = "refresh-token-0001"
)

// fakeJWT returns an unsigned token that ends at exp.
func fakeJWT(exp time.Time) string {
	claims := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"exp":%d}`, exp.Unix()))
	return "eyJhbGciOiJub25lIn0." + claims + ".c2lnbmF0dXJl"
}

func claudeFile(access, refresh string, expires time.Time) string {
	return fmt.Sprintf(`{"claudeAiOauth":{"accessToken":%q,"refreshToken":%q,"expiresAt":%d,"scopes":["user:inference"],"subscriptionType":"max"}}`,
		access, refresh, expires.UnixMilli())
}

func codexFile(access, refresh string) string {
	return fmt.Sprintf(`{"auth_mode":"chatgpt","OPENAI_API_KEY":null,"tokens":{"id_token":"id-token-0001","access_token":%q,"refresh_token":%q,"account_id":"acct-1"},"last_refresh":"2026-01-01T00:00:00Z"}`,
		access, refresh)
}

// writeLogin makes a login file below a fresh home and returns the home.
func writeLogin(t *testing.T, name, content string) (home string) {
	t.Helper()
	home = t.TempDir()
	path := filepath.Join(home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return home
}

func env(kv ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(kv); i += 2 {
			if kv[i] == name {
				return kv[i+1]
			}
		}
		return ""
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	later, past := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	const claudePath, codexPath = ".claude/.credentials.json", ".codex/auth.json"
	tests := []struct {
		name, kind, path, content string
		env                       []string
		mode                      Mode
		err                       error
		text                      string // in Describe or in the error
	}{
		{name: "claude file", kind: Claude, path: claudePath, content: claudeFile(testAccess, testRefresh, later), mode: ModeMount, text: ".credentials.json"},
		{name: "codex file", kind: Codex, path: codexPath, content: codexFile(fakeJWT(later), testRefresh), mode: ModeMount, text: "auth.json"},
		{name: "codex opaque token", kind: Codex, path: codexPath, content: codexFile("at-0001", testRefresh), mode: ModeMount},
		{name: "codex key file", kind: Codex, path: codexPath, content: `{"OPENAI_API_KEY":"sk-00000001"}`, mode: ModeMount},
		{name: "no expiry", kind: Claude, path: claudePath, content: `{"claudeAiOauth":{"accessToken":"x"}}`, mode: ModeMount},
		{name: "file before variable", kind: Claude, path: claudePath, content: claudeFile(testAccess, testRefresh, later),
			env: []string{"ANTHROPIC_API_KEY", "sk-1"}, mode: ModeMount},
		{name: "variable", kind: Claude, env: []string{"ANTHROPIC_API_KEY", "sk-ant-1\n"}, mode: ModeEnv, text: "ANTHROPIC_API_KEY"},
		{name: "subscription before key", kind: Claude, env: []string{"ANTHROPIC_API_KEY", "sk-1", "CLAUDE_CODE_OAUTH_TOKEN", "t"}, mode: ModeEnv, text: "CLAUDE_CODE_OAUTH_TOKEN"},
		{name: "codex variable", kind: Codex, env: []string{"OPENAI_API_KEY", "sk-1"}, mode: ModeEnv, text: "OPENAI_API_KEY"},
		{name: "logged out with a variable", kind: Claude, path: claudePath, content: claudeFile("", "", later), env: []string{"ANTHROPIC_API_KEY", "sk-1"}, mode: ModeEnv},

		{name: "nothing", kind: Claude, err: ErrNoLogin, text: "claude setup-token"},
		{name: "nothing for codex", kind: Codex, err: ErrNoLogin, text: "codex login"},
		{name: "logged out", kind: Claude, path: claudePath, content: claudeFile("", "", later), err: ErrNoLogin, text: "logged out"},
		{name: "only MCP logins", kind: Claude, path: claudePath, content: `{"mcpOAuth":{}}`, err: ErrNoLogin},
		{name: "expired", kind: Claude, path: claudePath, content: claudeFile(testAccess, testRefresh, past), err: ErrExpired, text: "run `claude` once"},
		{name: "expired does not spend a key", kind: Claude, path: claudePath, content: claudeFile(testAccess, testRefresh, past),
			env: []string{"ANTHROPIC_API_KEY", "sk-1"}, err: ErrExpired},
		{name: "expired JWT", kind: Codex, path: codexPath, content: codexFile(fakeJWT(past), testRefresh), err: ErrExpired, text: "run `codex` once"},
		{name: "broken", kind: Claude, path: claudePath, content: `{"claudeAiOauth":{"accessToken":"` + testAccess, err: ErrMalformed, text: "no JSON object"},
		{name: "empty", kind: Claude, path: claudePath, content: "", err: ErrMalformed},
		{name: "null", kind: Claude, path: claudePath, content: "null", err: ErrMalformed},
		{name: "two objects", kind: Claude, path: claudePath, content: claudeFile(testAccess, testRefresh, later) + "{}", err: ErrMalformed},
		{name: "several lines", kind: Claude, env: []string{"ANTHROPIC_API_KEY", "sk-1\nX=y"}, err: ErrNoLogin},
		{name: "too large", kind: Claude, path: claudePath, content: strings.Repeat(" ", maxFileBytes+1), text: "larger than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			home := t.TempDir()
			if tt.path != "" {
				home = writeLogin(t, tt.path, tt.content)
			}
			src, err := Accounts(t.TempDir()).Choose(tt.kind, "", "", env(tt.env...), home)
			if tt.mode == "" {
				if err == nil || tt.err != nil && !errors.Is(err, tt.err) {
					t.Fatalf("error %v, want %v", err, tt.err)
				}
				if !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "token-0001") {
					t.Errorf("error %q, want %q in it and no token", err, tt.text)
				}
				return
			}
			if err != nil || src.Mode != tt.mode || !strings.Contains(src.Describe(), tt.text) {
				t.Errorf("%v, %v", src, err)
			}
			if text := fmt.Sprintf("%v %+v %#v", src, src, src); src.value != "" && strings.Contains(text, "sk-") {
				t.Errorf("shows the key: %s", text)
			}
		})
	}
}

func TestFindHonoursConfigDirs(t *testing.T) {
	t.Parallel()
	for kind, v := range map[string]struct{ name, file, content string }{
		Claude: {"CLAUDE_CONFIG_DIR", ".credentials.json", claudeFile(testAccess, testRefresh, time.Now().Add(time.Hour))},
		Codex:  {"CODEX_HOME", "auth.json", codexFile(testAccess, testRefresh)},
	} {
		dir := writeLogin(t, v.file, v.content)
		src, err := Accounts(t.TempDir()).Choose(kind, "", "", env(v.name, dir), t.TempDir())
		if want := filepath.Join(dir, v.file); err != nil || src.Path != want {
			t.Errorf("%s: %q, %v; want %q", kind, src.Path, err, want)
		}
	}
}

func TestFindRefusesWhatIsNoFile(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	path := filepath.Join(home, ".codex", "auth.json")
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Accounts(t.TempDir()).Choose(Codex, "", "", env(), home); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("a directory: %v", err)
	}
	if err := errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := Accounts(t.TempDir()).Choose(Codex, "", "", env(), home); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("a pipe that nobody writes: %v", err)
	}
	if _, err := Accounts(t.TempDir()).Choose("gemini", "", "", env(), home); err == nil {
		t.Error("an unknown agent")
	}
}

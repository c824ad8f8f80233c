package credential

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// source returns a Source for a login file with content.
func source(t *testing.T, kind, content string) Source {
	t.Helper()
	a, _ := lookup(kind)
	return Source{Agent: kind, Mode: ModeMount, Path: filepath.Join(writeLogin(t, a.file, content), a.file)}
}

func project(t *testing.T, src Source, opts Options) *Projection {
	t.Helper()
	p, err := Project(src, filepath.Join(t.TempDir(), "projection"), opts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// wantNoToken fails if a file in dir, or its name, holds token.
func wantNoToken(t testing.TB, dir, token string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte(token)) || strings.Contains(e.Name(), token) {
			t.Errorf("%s holds the refresh token", e.Name())
		}
	}
}

func TestProjectClaude(t *testing.T) {
	t.Parallel()
	expires := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	others := `,"mcpOAuth":{"s|1":{"serverUrl":"https://x","accessToken":"mcp-access-01","refresh_token":"mcp-refresh-01"}}`
	content := strings.TrimSuffix(claudeFile(testAccess, testRefresh, expires), "}") + others + `,"note":"<&>","n":1.50}`
	p := project(t, source(t, Claude, content), Options{Owner: &Owner{UID: os.Getuid(), GID: os.Getgid()}})

	got, err := os.ReadFile(filepath.Join(p.Dir, ".credentials.json"))
	if err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer(testRefresh, "", others, "").Replace(content)
	if diff := cmp.Diff(jsonValue(t, want), jsonValue(t, string(got))); diff != "" {
		t.Error(diff)
	}
	if !bytes.Contains(got, []byte("1.50")) || !bytes.Contains(got, []byte("<&>")) {
		t.Errorf("not verbatim: %s", got)
	}
	if !p.Expires().Equal(expires) {
		t.Errorf("expires %v, want %v", p.Expires(), expires)
	}
	for _, secret := range []string{testAccess, testRefresh, "mcp-access-01", "mcp-refresh-01"} {
		if !slices.ContainsFunc(p.Secrets(), func(b []byte) bool { return string(b) == secret }) {
			t.Errorf("%s is not among the secrets", secret)
		}
	}
	if diff := cmp.Diff(map[string]string{".credentials.json": ".credentials.json"}, p.Links); diff != "" {
		t.Error(diff)
	}
	for path, mode := range map[string]os.FileMode{p.Dir: 0o700, filepath.Join(p.Dir, ".credentials.json"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

func TestProjectCodex(t *testing.T) {
	t.Parallel()
	content := codexFile(fakeJWT(time.Now().Add(time.Hour)), testRefresh)
	p := project(t, source(t, Codex, content), Options{})
	got, err := os.ReadFile(filepath.Join(p.Dir, "auth.json"))
	if err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(content, testRefresh, "")
	if diff := cmp.Diff(jsonValue(t, want), jsonValue(t, string(got))); diff != "" {
		t.Error(diff)
	}
	if slices.ContainsFunc(p.Secrets(), func(b []byte) bool { return string(b) == "acct-1" }) {
		t.Error("the account's id counts as a secret")
	}
}

func TestProjectVariables(t *testing.T) {
	t.Parallel()
	src, err := FindEnv(Claude, env("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01"))
	if err != nil {
		t.Fatal(err)
	}
	p := project(t, src, Options{})
	if diff := cmp.Diff([]string{"CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01"}, p.Env); diff != "" || p.Dir != "" {
		t.Errorf("dir %q %s", p.Dir, diff)
	}
	if src, err = FindEnv(Codex, env("CODEX_API_KEY", "sk-0001")); err != nil {
		t.Fatal(err)
	}
	p = project(t, src, Options{})
	got, err := os.ReadFile(filepath.Join(p.Dir, "auth.json"))
	if string(got) != `{"OPENAI_API_KEY":"sk-0001"}`+"\n" || err != nil || len(p.Env) != 0 {
		t.Errorf("%s, %v, %v", got, p.Env, err)
	}
	if diff := cmp.Diff([][]byte{[]byte("sk-0001")}, p.Secrets()); diff != "" {
		t.Error(diff)
	}
}

func TestProjectRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		content string
		want    error
	}{
		"expired":    {claudeFile(testAccess, testRefresh, time.Now().Add(-time.Second)), ErrExpired},
		"logged out": {claudeFile("", "", time.Now()), ErrNoLogin},
		"broken":     {"{", ErrMalformed},
		"same token": {claudeFile(testRefresh, testRefresh, time.Now().Add(time.Hour)), ErrMalformed},
	} {
		dir := filepath.Join(t.TempDir(), "p")
		if _, err := Project(source(t, Claude, tt.content), dir, Options{}); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
		if entries, _ := os.ReadDir(dir); len(entries) > 0 {
			t.Errorf("%s: left %v", name, entries)
		}
	}
}

func TestProjectRemovesWhatAKilledProcessLeft(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".new-1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Project(source(t, Codex, codexFile(testAccess, testRefresh)), dir, Options{}); err != nil {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left %v", entries)
	}
}

// Whatever else is in the file, and wherever the refresh token stands, its bytes
// are not in the projection, and all that has nothing to do with it stays.
func TestProjectNeverHoldsARefreshToken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		refresh := rapid.StringMatching(`[A-Za-z0-9_\-]{8,40}`).Draw(rt, "refresh")
		extra := rapid.MapOf(rapid.String(), drawValue(refresh)).Draw(rt, "extra")
		clean := map[string]any{}
		for k, v := range extra {
			if data, err := json.Marshal(map[string]any{k: v}); err != nil ||
				bytes.Contains(data, []byte(refresh)) || bytes.Contains(data, []byte("efresh")) {
				continue
			}
			clean[k] = v
		}
		extra["tokens"] = map[string]any{"access_token": "an access token", "refresh_token": refresh}
		content, err := json.Marshal(extra)
		if err != nil {
			rt.Skip()
		}
		l, err := parse(Codex, content)
		if err != nil {
			if strings.Contains("an access token", refresh) {
				rt.Skip()
			}
			rt.Fatal(err)
		}
		p := &Projection{Dir: dir, src: Source{Agent: Codex}}
		if err := p.write(content, l); err != nil {
			rt.Fatal(err)
		}
		wantNoToken(t, dir, refresh)
		got := jsonValue(t, string(l.projected)).(map[string]any)
		for k, v := range clean {
			want, _ := json.Marshal(v)
			if diff := cmp.Diff(jsonValue(t, string(want)), got[strings.ToValidUTF8(k, "\ufffd")]); diff != "" && k != "tokens" {
				rt.Fatalf("%q changed: %s", k, diff)
			}
		}
	})
}

// drawValue makes JSON values, some of which hold the refresh token.
func drawValue(refresh string) *rapid.Generator[any] {
	leaf := rapid.OneOf(
		rapid.Map(rapid.String(), func(s string) any { return s }),
		rapid.Just(any(refresh)), rapid.Just(any("x"+refresh+"y")),
		rapid.Map(rapid.Int32(), func(n int32) any { return n }), rapid.Just(any(nil)), rapid.Just(any(true)),
	)
	key := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{refresh, "refreshToken", "Refresh_Token", "token"}))
	return rapid.OneOf(leaf,
		rapid.Map(rapid.SliceOfN(leaf, 0, 3), func(v []any) any { return v }),
		rapid.Map(rapid.MapOfN(key, leaf, 0, 4), func(v map[string]any) any { return v }))
}

func jsonValue(t testing.TB, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return v
}

// watch runs Watch and returns channels of what it reports.
func watch(t *testing.T, p *Projection) (secrets chan [][]byte, problems chan error) {
	t.Helper()
	secrets, problems = make(chan [][]byte, 100), make(chan error, 100)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		p.Watch(ctx, Callbacks{
			Secrets: func(s [][]byte) { secrets <- s },
			Problem: func(err error) { problems <- err },
		})
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return secrets, problems
}

func receive[T any](t *testing.T, c chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was reported")
		panic("unreachable")
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	// In the bubble the watcher looks only while the test waits, so never at a
	// file that is half written.
	synctest.Test(t, func(t *testing.T) {
		later := time.Now().Add(time.Hour)
		src := source(t, Claude, claudeFile(testAccess, testRefresh, later))
		p := project(t, src, Options{})
		secrets, problems := watch(t, p)
		file := filepath.Join(p.Dir, ".credentials.json")
		set := func(content string) {
			t.Helper()
			if err := os.WriteFile(src.Path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		before, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		keeps := func() {
			t.Helper()
			if now, err := os.ReadFile(file); err != nil || !bytes.Equal(now, before) {
				t.Errorf("did not keep the last projection: %s, %v", now, err)
			}
		}

		set(`{"claudeAiOauth":{"accessToken":"half`)
		if err := receive(t, problems); !errors.Is(err, ErrMalformed) {
			t.Errorf("half a file: %v", err)
		}
		keeps()
		set(claudeFile("", "", later))
		if err := receive(t, problems); !errors.Is(err, ErrNoLogin) {
			t.Errorf("a lost login: %v", err)
		}
		keeps()
		if err := os.Remove(src.Path); err != nil {
			t.Fatal(err)
		}
		if err := receive(t, problems); !errors.Is(err, ErrNoLogin) || !strings.Contains(err.Error(), "gone") {
			t.Errorf("a lost file: %v", err)
		}
		keeps()

		// In place and of the same size.
		set(strings.ReplaceAll(claudeFile(testAccess, testRefresh, later), "0001", "0002"))
		if got := receive(t, secrets); len(got) != 4 {
			t.Errorf("%d secrets, want the old and the new two", len(got))
		}
		synctest.Wait()
		if now, err := os.ReadFile(file); err != nil || !bytes.Contains(now, []byte("access-token-0002")) {
			t.Errorf("did not project the new login: %s, %v", now, err)
		}
		wantNoToken(t, p.Dir, "refresh-token")

		set(claudeFile("access-token-0003", testRefresh, time.Now().Add(-time.Second)))
		if err := receive(t, problems); !errors.Is(err, ErrExpired) {
			t.Errorf("an expired login: %v", err)
		}
		if p.Expires().After(time.Now()) {
			t.Error("the expiry is not that of the new login")
		}
		if len(secrets) != 1 || len(problems) != 0 {
			t.Errorf("%d secrets, want the last ones; %d more problems", len(secrets), len(problems))
		}
	})
}

// Readers see whole files only, whenever they look.
func TestWatchIsAtomicForReaders(t *testing.T) {
	t.Parallel()
	src := source(t, Codex, codexFile("access-00000", "refresh-00000"))
	p := project(t, src, Options{Poll: time.Millisecond})
	secrets, _ := watch(t, p)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				data, err := os.ReadFile(filepath.Join(p.Dir, "auth.json"))
				if err != nil || !json.Valid(data) || bytes.Contains(data, []byte("refresh-0")) {
					t.Errorf("read %q, %v", data, err)
					return
				}
			}
		})
	}
	for i := 1; i <= 50; i++ {
		padding := strings.Repeat("x", i*1000)
		content := fmt.Sprintf(`{"padding":%q,"tokens":{"access_token":"access-%05d","refresh_token":"refresh-%05d"}}`, padding, i, i)
		if err := os.WriteFile(src.Path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		receive(t, secrets)
	}
	close(stop)
	readers.Wait()
}

package server

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/store"
)

func TestOwnerIsMadeOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.refused(api.CodeUnauthorized, "POST", "/api/v1/login", "", api.Login{Name: "alice", Password: "correct horse"})
	old, err := b.s.SetupLink(t.Context())
	if err != nil || old == "" {
		t.Fatal(old, err)
	}
	link, _ := b.s.SetupLink(t.Context())
	token := func(link string) string { return strings.TrimPrefix(link, "/setup?token=") }
	in := api.Setup{Token: token(old), Name: "alice", Password: "correct horse"}
	b.refused(api.CodeUnauthorized, "POST", "/api/v1/setup", "", in)
	in.Token = token(link)
	b.refused(api.CodeInvalid, "POST", "/api/v1/setup", "", api.Setup{Token: in.Token, Name: "alice", Password: "short"})
	var me api.Me
	b.do(200, "POST", "/api/v1/setup", "", in, &me)
	b.refused(api.CodeUnauthorized, "POST", "/api/v1/setup", "", in)
	if again, err := b.s.SetupLink(t.Context()); again != "" || err != nil {
		t.Errorf("another link: %s %v", again, err)
	}
	if me.Name != "alice" || me.Kind != "browser" {
		t.Errorf("%+v", me)
	}
	b.refused(api.CodeUnauthorized, "POST", "/api/v1/login", "", api.Login{Name: "alice", Password: "wrong horse"})
	b.refused(api.CodeUnauthorized, "POST", "/api/v1/login", "", api.Login{Name: "bob", Password: "correct horse"})
	for _, path := range []string{"/api/v1/login", "/api/v1/setup"} { // who is not known takes no memory
		b.refused(api.CodeTooLarge, "POST", path, "", api.Login{Name: "alice", Password: strings.Repeat("a", formMax)})
	}

	resp := b.request("POST", "/api/v1/login", "", api.Login{Name: "alice", Password: "correct horse"})
	resp.Body.Close()
	k := resp.Cookies()[0]
	if !k.HttpOnly || k.SameSite != http.SameSiteLaxMode || k.Secure || k.Path != "/" {
		t.Errorf("%+v", k)
	}
	cookie := k.Name + "=" + k.Value
	b.do(200, "GET", "/api/v1/tasks", "", nil, nil, "Cookie", cookie)
	b.refused(api.CodeUnauthorized, "GET", "/api/v1/tasks", k.Value, nil)
	b.refused(api.CodeForbidden, "POST", "/api/v1/logout", "", nil, "Cookie", cookie, "Origin", "https://evil.example")
	b.refused(api.CodeForbidden, "POST", "/api/v1/logout", "", nil, "Cookie", cookie, "Origin", "https://evil.example", "Authorization", "Basic YTpi")
	var browsers api.Tokens
	b.do(200, "GET", "/api/v1/browsers", "", nil, &browsers, "Cookie", cookie)
	if len(browsers.Tokens) != 2 || browsers.Tokens[0].ExpiresAt == nil {
		t.Fatalf("%+v", browsers)
	}
	b.do(200, "DELETE", "/api/v1/browsers/"+browsers.Tokens[1].ID, "", nil, nil, "Cookie", cookie)
	b.do(204, "POST", "/api/v1/logout", "", nil, nil, "Cookie", cookie)
	b.refused(api.CodeUnauthorized, "GET", "/api/v1/tasks", "", nil, "Cookie", cookie)
}

// TestSetupLinkAfterOwner: a process that ended right after it had made the owner leaves no
// link by which somebody else becomes it.
func TestSetupLinkAfterOwner(t *testing.T) {
	t.Parallel()
	b := setup(t)
	link, err := b.s.SetupLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.store.SetOwner(t.Context(), "alice", "hash"); err != nil {
		t.Fatal(err)
	}
	in := api.Setup{Token: strings.TrimPrefix(link, "/setup?token="), Name: "mallory", Password: "correct horse"}
	b.refused(api.CodeUnauthorized, "POST", "/api/v1/setup", "", in)
}

// TestNewPasswordEndsBrowsers: all of them, however many there are.
func TestNewPasswordEndsBrowsers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.issue(store.BrowserToken, "alice", "browser").Secret
	var wg sync.WaitGroup
	for range pageMax {
		wg.Go(func() {
			if _, err := b.s.IssueToken(t.Context(), store.BrowserToken, "alice", api.NewToken{Name: "browser"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	b.do(200, "GET", "/api/v1/me", "", nil, nil, "Cookie", cookieName+"="+first)
	if err := b.s.SetOwner(t.Context(), "alice", "correct horse"); err != nil {
		t.Fatal(err)
	}
	b.refused(api.CodeUnauthorized, "GET", "/api/v1/me", "", nil, "Cookie", cookieName+"="+first)
}

// TestGuessingAtOnce: guesses that are checked at the same time count, too.
func TestGuessingAtOnce(t *testing.T) {
	t.Parallel()
	now := time.Now()
	b := setup(t, func(c *Config) { c.Now = func() time.Time { return now } })
	if err := b.s.SetOwner(t.Context(), "alice", "correct horse"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var checked atomic.Int64
	for range 4 * freeFailures {
		wg.Go(func() {
			resp := b.request("POST", "/api/v1/login", "", api.Login{Name: "alice", Password: "wrong horse"})
			resp.Body.Close()
			if resp.StatusCode == http.StatusUnauthorized {
				checked.Add(1)
			}
		})
	}
	wg.Wait()
	if n := checked.Load(); n != freeFailures {
		t.Errorf("%d guesses were checked", n)
	}
}

func TestGuessingIsSlowed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if err := b.s.SetOwner(t.Context(), "alice", "correct horse"); err != nil {
		t.Fatal(err)
	}
	for range freeFailures {
		b.refused(api.CodeUnauthorized, "POST", "/api/v1/login", "", api.Login{Name: "alice", Password: "wrong horse"})
	}
	right := api.Login{Name: "alice", Password: "correct horse"}
	if e := b.refused(api.CodeTooMany, "POST", "/api/v1/login", "", right); e.Error.RetryAfterMS < 1 {
		t.Errorf("%+v", e)
	}
	b.do(200, "POST", "/api/v1/login", "", right, nil, "X-Forwarded-For", "192.0.2.1")
}

func TestPublicURL(t *testing.T) {
	t.Parallel()
	public, _ := url.Parse("https://example.org/ratchet")
	b := setup(t, func(c *Config) { c.Public = public })
	if err := b.s.SetOwner(t.Context(), "alice", "correct horse"); err != nil {
		t.Fatal(err)
	}
	in := api.Login{Name: "alice", Password: "correct horse"}
	for _, path := range []string{"/ratchet/api/v1/login", "/api/v1/login"} {
		resp := b.request("POST", path, "", in, "Origin", "https://example.org")
		resp.Body.Close()
		if k := resp.Cookies()[0]; !k.Secure || k.Path != "/ratchet/" {
			t.Errorf("%s: %+v", path, k)
		}
	}
	b.refused(api.CodeForbidden, "POST", "/ratchet/api/v1/login", "", in, "Origin", "https://evil.example")
}

func TestThrottle(t *testing.T) {
	t.Parallel()
	var th throttle
	now := time.Now()
	for range freeFailures {
		if th.try("a", now) != 0 {
			t.Error("slowed too early")
		}
	}
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		for range 2 { // one that is refused does not count
			if got := th.try("a", now); got != want*time.Second {
				t.Errorf("%v instead of %d s", got, want)
			}
		}
		if now = now.Add(want * time.Second); th.try("a", now) != 0 {
			t.Error("slowed for too long")
		}
	}
	if th.try("b", now) != 0 {
		t.Error("another address is slowed")
	}
	for range freeFailures {
		if got := th.try("a", now.Add(time.Hour)); got != 0 {
			t.Errorf("%v after an hour", got)
		}
	}
	for i := range failuresMax + 10 {
		th.try(fmt.Sprint(i), now)
	}
	if len(th.failed) > failuresMax {
		t.Errorf("%d addresses are remembered", len(th.failed))
	}
	if network("2001:db8::1") != network("2001:db8::2") || network("192.0.2.1") == network("192.0.2.2") {
		t.Error("networks")
	}
}

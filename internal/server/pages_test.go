package server

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// browse sends what a browser would, with the cookies that it got, and follows nothing.
func (b *bed) browse(method, path string, form url.Values, cookies ...*http.Cookie) (*http.Response, string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, k := range cookies {
		r.AddCookie(k)
	}
	resp, err := b.client.Transport.RoundTrip(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp, string(text)
}

func TestPages(t *testing.T) {
	t.Parallel()
	public, _ := url.Parse("https://example.org/ratchet")
	b := setup(t, func(c *Config) { c.Public = public })
	link, err := b.s.SetupLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if resp, _ := b.browse("GET", "/ratchet/", nil); resp.StatusCode != 303 || resp.Header.Get("Location") != "/ratchet/sign-in" {
		t.Errorf("%s to %s", resp.Status, resp.Header.Get("Location"))
	}
	resp, text := b.browse("GET", "/ratchet"+link, nil)
	if !strings.Contains(resp.Header.Get("Content-Security-Policy"), "default-src 'none'") || !strings.Contains(text, `action="/ratchet/setup"`) {
		t.Errorf("%v\n%s", resp.Header, text)
	}
	form := url.Values{"token": {strings.TrimPrefix(link, "/setup?token=")}, "name": {"alice"}, "password": {"short"}}
	if resp, text = b.browse("POST", "/ratchet/setup", form); resp.StatusCode != 400 || !strings.Contains(text, "fewer than 8") {
		t.Errorf("%s\n%s", resp.Status, text)
	}
	form.Set("password", "correct horse")
	if resp, _ = b.browse("POST", "/ratchet/setup", form); resp.StatusCode != 303 || resp.Header.Get("Location") != "/ratchet/" {
		t.Fatalf("%s to %s", resp.Status, resp.Header.Get("Location"))
	}
	if resp, text = b.browse("POST", "/ratchet/sign-in", url.Values{"name": {"alice"}, "password": {"wrong"}}); resp.StatusCode != 401 || !strings.Contains(text, "is wrong") {
		t.Errorf("%s\n%s", resp.Status, text)
	}
	resp, _ = b.browse("POST", "/sign-in", form) // a proxy cut the prefix off
	cookie := resp.Cookies()[0]
	b.do(201, "POST", "/api/v1/tasks", b.person, task.Spec{Prompt: `<script>alert(1)</script>`}, nil)
	if _, text = b.browse("GET", "/ratchet/", nil, cookie); !strings.Contains(text, "&lt;script&gt;") || !strings.Contains(text, "no runner is connected") {
		t.Errorf("%s", text)
	}
	if resp, _ = b.browse("GET", "/ratchet/style.css", nil); resp.Header.Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("%v", resp.Header)
	}
	b.browse("POST", "/ratchet/sign-out", nil, cookie)
	b.refused(api.CodeUnauthorized, "GET", "/ratchet/api/v1/tasks", "", nil, "Cookie", cookie.Name+"="+cookie.Value)
}

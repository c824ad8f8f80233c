package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// HeaderProtocol is on every answer of a control plane.
const HeaderProtocol = "Ratchet-Protocol"

// answerMax bounds an answer that is decoded as a whole.
const answerMax = 32 << 20

// ErrNoControlPlane says that something else answers at the address.
var ErrNoControlPlane = errors.New("no control plane answers there")

// ErrPlain says that plain HTTP would show the token to everybody on the way.
var ErrPlain = errors.New("plain http to a public address would show the token to everybody on the way: use https")

// Client calls one control plane with one token. It is safe for concurrent use.
type Client struct {
	base  *url.URL
	token string
	http  *http.Client

	encoders sync.Pool // of zstd
}

// NewClient returns a client for the control plane at address, such as
// https://example.org/ratchet. Plain http goes to private and loopback addresses only.
// proxy may be nil. Nothing is dialled yet.
func NewClient(address, token string, proxy func(*http.Request) (*url.URL, error)) (*Client, error) {
	u, err := url.Parse(strings.TrimRight(address, "/"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		if err == nil {
			address = u.Redacted()
		}
		return nil, fmt.Errorf("control plane address %q is not like https://example.org", address)
	}
	d := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}
	if u.Scheme == "http" {
		d.Control = refusePublic
	}
	t := &http.Transport{
		Proxy: proxy, DialContext: d.DialContext, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: 90 * time.Second, MaxIdleConnsPerHost: 8,
		ExpectContinueTimeout: time.Second, ResponseHeaderTimeout: WaitMax + 30*time.Second,
	}
	return &Client{base: u, token: token, http: &http.Client{Transport: t, CheckRedirect: sameHost}}, nil
}

// refusePublic keeps a token off public networks.
func refusePublic(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	ip := a.Addr().Unmap()
	if ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() || netip.MustParsePrefix("100.64.0.0/10").Contains(ip) {
		return nil
	}
	return ErrPlain
}

// sameHost does not let a redirect take the token elsewhere.
func sameHost(r *http.Request, via []*http.Request) error {
	if len(via) > 3 || r.URL.Host != via[0].URL.Host || r.URL.Scheme != via[0].URL.Scheme {
		return http.ErrUseLastResponse
	}
	return nil
}

// URL is the control plane's address.
func (c *Client) URL() string { return c.base.String() }

// SetTransport makes c send by t, before its first call: tests put a faulty network there.
func (c *Client) SetTransport(t http.RoundTripper) { c.http.Transport = t }

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Do sends a JSON request and decodes the answer into out, if that is not nil. The
// error is an *Error when the control plane refuses, ErrNoControlPlane, or the network's.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	header := http.Header{}
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		body = bytes.NewReader(data)
		header.Set("Content-Type", "application/json")
	}
	resp, err := c.Send(ctx, method, path, header, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, answerMax)).Decode(out); err != nil {
		return fmt.Errorf("%s %s: the answer is cut or no JSON: %w", method, path, err)
	}
	return nil
}

// dialError is one that does not name the address.
type dialError struct{ *net.OpError }

func (e dialError) Error() string { return e.Err.Error() }
func (e dialError) Unwrap() error { return e.OpError }

// sized is a body of which net/http cannot see how long it is.
type sized struct {
	io.Reader
	bytes int64
}

// Send sends a request and returns the answer if it is no error; the caller closes
// its body. path begins with /api/v1/ and may have a query.
func (c *Client) Send(ctx context.Context, method, path string, header http.Header, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base.String()+path, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if b, ok := body.(sized); ok {
		r.ContentLength = b.bytes
	}
	for k, v := range header {
		r.Header[k] = v
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without method and path, which say nothing about the network
		}
		var dial *net.OpError
		if errors.As(err, &dial) && dial.Op == "dial" {
			err = dialError{dial} // without the address, which comes first
		}
		return nil, fmt.Errorf("control plane %s: %w", c.base.Redacted(), err)
	}
	if resp.Header.Get(HeaderProtocol) == "" && !proxied(resp.StatusCode) {
		resp.Body.Close()
		return nil, fmt.Errorf("%s answers %s: %w", c.base.Redacted(), resp.Status, ErrNoControlPlane)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, readError(resp)
}

// proxied reports that a proxy before the control plane may answer with this.
func proxied(status int) bool {
	return status >= 500 || status == http.StatusRequestEntityTooLarge || status == http.StatusTooManyRequests
}

// readError makes an Error of an answer, which may be a proxy's.
func readError(resp *http.Response) error {
	var b ErrorBody
	data, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if json.Unmarshal(data, &b) != nil || b.Error.Code == "" {
		b.Error = Error{Code: CodeInternal, Message: "the answer was " + resp.Status}
		switch resp.StatusCode {
		case http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout:
			b.Error.Code = CodeUnavailable
		case http.StatusRequestEntityTooLarge:
			b.Error.Code = CodeTooLarge
		case http.StatusTooManyRequests:
			b.Error.Code = CodeTooMany
		}
	}
	e := b.Error
	e.Status = resp.StatusCode
	if b.Acked != nil {
		e.Acked = *b.Acked
	}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && e.RetryAfterMS == 0 {
		e.RetryAfterMS = int64(s) * 1000
	}
	return &e
}

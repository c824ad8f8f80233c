package egress

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// upstreamLookup bounds the look-up of a name that the upstream proxy looks up again. Where only the upstream proxy
	// knows names, every connection may wait for it.
	upstreamLookup = 2 * time.Second
	// maxUpstreamHeader bounds the header of the upstream proxy's answer to CONNECT, in bytes.
	maxUpstreamHeader = 64 << 10
)

// CheckUpstream returns an error when connections cannot go through the proxy u. The error does not hold its password.
func CheckUpstream(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("the proxy %s is not supported: use an http or https proxy", u.Redacted())
	case u.Hostname() == "":
		return fmt.Errorf("the proxy %s has no host", u.Redacted())
	}
	return nil
}

// via returns the upstream proxy on the way to t, nil for none. plain says that the connection is for http requests and
// not for a tunnel. A port of the runner's own is never behind a proxy.
func (d *dialer) via(t Target, plain bool) (*url.URL, error) {
	if d.upstream == nil || t.Host.name == RunnerHost {
		return nil, nil
	}
	u := &url.URL{Scheme: "https", Host: t.String()}
	if plain {
		u.Scheme = "http"
	}
	proxy, err := d.upstream(u)
	if err != nil {
		return nil, errors.New("the upstream proxy is unknown") // err may hold its password
	}
	if proxy == nil {
		return nil, nil
	}
	return proxy, CheckUpstream(proxy)
}

// openVia connects to t through proxy: a tunnel, or for plain http requests the proxy itself. Errors are those of open.
func (d *dialer) openVia(ctx context.Context, proxy *url.URL, t Target, plain bool) (net.Conn, error) {
	if err := d.vet(ctx, t); err != nil {
		return nil, err
	}
	conn, err := d.dialProxy(ctx, proxy)
	if err == nil && !plain {
		conn, err = connectThrough(ctx, conn, proxy, t)
	}
	if err != nil {
		return nil, &refusal{verdict: Unreachable, target: t, detail: "upstream proxy " + proxy.Host + ": " + err.Error()}
	}
	return conn, nil
}

// vet refuses a name that leads to an address which must not be dialled, as far as that can be known here: the upstream
// proxy looks the name up again and may get another answer, and a name that is unknown here is its decision alone. Since
// it may take any of a name's addresses, one that is forbidden is enough.
func (d *dialer) vet(ctx context.Context, t Target) error {
	if t.Host.IsIP() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, upstreamLookup)
	defer cancel()
	found, err := d.resolver.LookupNetIP(ctx, "ip", t.Host.name)
	if err != nil {
		return nil
	}
	for _, addr := range found {
		if kind := d.forbids(addr); kind != "" {
			return &refusal{verdict: ForbiddenAddress, target: t, detail: fmt.Sprintf("%s is %s", addr, kind)}
		}
	}
	return nil
}

// dialProxy connects to the upstream proxy, whose address is its owner's business and is not checked.
func (d *dialer) dialProxy(ctx context.Context, proxy *url.URL) (net.Conn, error) {
	port := proxy.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[proxy.Scheme]
	}
	conn, err := d.dial(ctx, "tcp", net.JoinHostPort(proxy.Hostname(), port))
	if err != nil || proxy.Scheme == "http" {
		return conn, err
	}
	secure := tls.Client(conn, &tls.Config{ServerName: proxy.Hostname(), MinVersion: tls.VersionTLS12})
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

// connectThrough asks the proxy at the other end of conn for a tunnel to t. It owns conn and closes it on failure.
func connectThrough(ctx context.Context, conn net.Conn, proxy *url.URL, t Target) (_ net.Conn, err error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if !stop() && err == nil {
			err = ctx.Err()
		}
		if err != nil {
			conn.Close()
		}
	}()
	request := "CONNECT " + t.String() + " HTTP/1.1\r\nHost: " + t.String() + "\r\n"
	if auth := proxyAuthorization(proxy); auth != "" {
		request += "Proxy-Authorization: " + auth + "\r\n"
	}
	if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
		return nil, err
	}
	limited := &io.LimitedReader{R: conn, N: maxUpstreamHeader}
	r := bufio.NewReader(limited)
	resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err != nil {
		if limited.N == 0 {
			return nil, fmt.Errorf("its answer has more than %d bytes", maxUpstreamHeader)
		}
		return nil, fmt.Errorf("its answer: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		return nil, upstreamRefused(resp.StatusCode)
	}
	early, err := r.Peek(r.Buffered()) // of a server that speaks first
	if err != nil {
		return nil, err
	}
	return &earlyConn{Conn: conn, r: io.MultiReader(bytes.NewReader(bytes.Clone(early)), conn)}, nil
}

func upstreamRefused(status int) error {
	if status == http.StatusProxyAuthRequired {
		return errors.New("it wants a user name and a password: put them into the proxy's URL")
	}
	return fmt.Errorf("it answered %d %s", status, http.StatusText(status))
}

// proxyAuthorization is the header's value for the login in the proxy's URL, "" without one.
func proxyAuthorization(proxy *url.URL) string {
	if proxy.User == nil {
		return ""
	}
	password, _ := proxy.User.Password()
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(proxy.User.Username()+":"+password))
}

// sendVia makes r the request that an upstream proxy takes: with the whole URL, and the proxy's login. The transport
// goes on to see t as the destination, so that connections to different targets stay apart.
func sendVia(r *http.Request, proxy *url.URL, t Target) {
	r.URL.Opaque = "//" + hostHeader(t) + "/" + strings.TrimPrefix(r.URL.EscapedPath(), "/")
	if auth := proxyAuthorization(proxy); auth != "" {
		r.Header.Set("Proxy-Authorization", auth)
	}
}

// answerVia keeps an upstream proxy's demand for a login from the session, which has none for it.
func answerVia(r *http.Response, proxy *url.URL, t Target) error {
	if proxy == nil || r.StatusCode != http.StatusProxyAuthRequired {
		return nil
	}
	return &refusal{verdict: Unreachable, target: t, detail: upstreamRefused(r.StatusCode).Error()}
}

// earlyConn is a connection of which some bytes were read ahead.
type earlyConn struct {
	net.Conn
	r io.Reader
}

func (c *earlyConn) Read(p []byte) (int, error) { return c.r.Read(p) }

// CloseWrite ends the sending side, or fails when the connection cannot.
func (c *earlyConn) CloseWrite() error { return closeWrite(c.Conn) }

package egress

import (
	"errors"
	"net/http"
	"strings"
)

// requestTarget returns where r wants to go. It reads the request line as it was sent and not the parsed URL, which
// has been unescaped and has lost its user information; forwarding then uses nothing but the result. The client's Host
// header takes no part: net/http drops it from a request with an absolute target, and the forwarded request gets a new
// one, as RFC 9112 section 3.2.2 demands.
func requestTarget(r *http.Request) (Target, error) {
	if r.Method == http.MethodConnect {
		return ParseTarget(r.RequestURI)
	}
	const scheme = "http://"
	uri := r.RequestURI
	switch {
	case strings.HasPrefix(uri, "/") || uri == "*":
		return Target{}, errors.New("request is for the proxy itself")
	case len(uri) < len(scheme) || !strings.EqualFold(uri[:len(scheme)], scheme):
		return Target{}, errors.New("only http:// is forwarded; https goes through CONNECT")
	}
	authority := uri[len(scheme):]
	if end := strings.IndexAny(authority, `/?#\`); end >= 0 {
		authority = authority[:end]
	}
	host, port, err := splitPort(authority)
	if err != nil {
		return Target{}, err
	}
	if port == 0 {
		port = portHTTP
	}
	h, err := ParseHost(host)
	if err != nil {
		return Target{}, err
	}
	return Target{Host: h, Port: port}, nil
}

// hostHeader is the Host field for a plain http request to t: without the port where it is the scheme's own.
func hostHeader(t Target) string {
	if t.Port == portHTTP {
		return t.Host.String()
	}
	return t.String()
}

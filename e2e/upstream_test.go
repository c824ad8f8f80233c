//go:build e2e

package e2e

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// upstreamProxy is the only way out of a network: it answers for every host itself.
type upstreamProxy struct {
	mu    sync.Mutex
	asked []string
}

func (u *upstreamProxy) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		user, password, _ := (&http.Request{Header: http.Header{"Authorization": req.Header["Proxy-Authorization"]}}).BasicAuth()
		u.mu.Lock()
		u.asked = append(u.asked, strings.TrimSpace(req.Method+" "+req.RequestURI+" "+user+":"+password))
		u.mu.Unlock()
		if req.Method == http.MethodConnect {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
			continue
		}
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\nfrom upstream\n")
	}
}

// TestUpstreamProxy has curl in the sandbox reach hosts that only the machine's own
// proxy knows, while the model's API, on this machine, is reached directly.
func TestUpstreamProxy(t *testing.T) {
	t.Parallel()
	up := &upstreamProxy{}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go up.serve(conn)
		}
	}()
	b := setup(t, agent.Claude,
		modelapi.Shell("curl -fsS http://plain.invalid/a; curl -fsS -p http://tunnel.invalid:8443/b; curl -sS http://169.254.169.254/ 2>&1"),
		modelapi.Text("done"))
	const password = "upstream-password"
	b.env["HTTPS_PROXY"] = "http://corp:" + password + "@" + ln.Addr().String()
	b.env["http_proxy"] = b.env["HTTPS_PROXY"]
	b.env["NO_PROXY"] = "registry.invalid"
	r := b.run(b.runArgs("--allow-host", "plain.invalid", "--allow-host", "tunnel.invalid:8443")...)
	r.want(t, 0)
	id := b.session()
	output := all[event.ToolFinished](b, id)[0].Output
	if strings.Count(output, "from upstream") != 2 || !strings.Contains(output, "link-local") {
		t.Errorf("output %s", output)
	}
	up.mu.Lock()
	defer up.mu.Unlock()
	want := []string{
		"GET http://plain.invalid/a corp:" + password, "CONNECT tunnel.invalid:8443 corp:" + password, "GET /b :",
	}
	if !slices.Equal(up.asked, want) {
		t.Errorf("the proxy was asked %q", up.asked)
	}
	b.nothingHolds(id, password)
}

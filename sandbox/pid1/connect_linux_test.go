package pid1

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// connectTo runs the helper against a proxy that answers by handle.
func connectTo(t *testing.T, in string, handle http.HandlerFunc) (out string, err error) {
	t.Helper()
	proxy := httptest.NewServer(handle)
	defer proxy.Close()
	var said strings.Builder
	err = connectHelper(proxy.Listener.Addr().String(), []string{"git.example.com", "22"}, strings.NewReader(in), &said)
	return said.String(), err
}

func TestConnect(t *testing.T) {
	t.Parallel()
	out, err := connectTo(t, "to the host", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.RequestURI != "git.example.com:22" {
			t.Errorf("%s %s", r.Method, r.RequestURI)
		}
		c, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		// What the host says at once comes with the answer, as ssh's banner can.
		fmt.Fprint(c, "HTTP/1.1 200 Connection established\r\n\r\nfrom the host: ")
		said, err := io.ReadAll(buffered)
		if err != nil || !strings.HasSuffix(string(said), "to the host") {
			t.Errorf("heard %q, %v", said, err)
		}
		fmt.Fprintf(c, "%d bytes", len("to the host"))
		_ = c.(*net.TCPConn).CloseWrite()
	})
	if err != nil || out != "from the host: 11 bytes" {
		t.Errorf("%q, %v", out, err)
	}
}

func TestConnectRefused(t *testing.T) {
	t.Parallel()
	for size, reason := range map[string]string{"short": "port 22 is not allowed", "long": strings.Repeat("because ", 2000)} {
		out, err := connectTo(t, "", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintln(w, reason)
		})
		want := "git.example.com:22: " + strings.TrimSpace(reason[:min(len(reason), 4<<10)])
		if err == nil || out != "" || err.Error() != want {
			t.Errorf("%s: %q, %.80v", size, out, err)
		}
	}
}

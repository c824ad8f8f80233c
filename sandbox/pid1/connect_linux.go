package pid1

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"time"
)

// connectHelper is `sandbox-init connect HOST PORT`, ssh's ProxyCommand inside
// a sandbox: it joins in and out to HOST:PORT through the egress proxy.
func connectHelper(proxy string, args []string, in io.Reader, out io.Writer) error {
	if len(args) != 2 {
		return errors.New("usage: sandbox-init connect HOST PORT")
	}
	target := net.JoinHostPort(args[0], args[1])
	c, err := net.DialTimeout("tcp", proxy, 10*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	// Version 1.0, so that what follows a refusal's header is its text. Package net/http
	// would be most of this program.
	if _, err := fmt.Fprintf(c, "CONNECT %s HTTP/1.0\r\nHost: %s\r\n\r\n", target, target); err != nil {
		return err
	}
	r := bufio.NewReader(c)
	answer := textproto.NewReader(r)
	status, err := answer.ReadLine()
	if err == nil {
		_, err = answer.ReadMIMEHeader()
	}
	if err != nil {
		return err
	}
	if _, code, _ := strings.Cut(status, " "); !strings.HasPrefix(code, "200 ") {
		reason, _ := io.ReadAll(io.LimitReader(r, 4<<10))
		return fmt.Errorf("%s: %s", target, strings.TrimSpace(string(reason)))
	}
	go func() {
		_, _ = io.Copy(c, in)
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	_, err = io.Copy(out, r)
	return err
}

package pid1

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// connectHelper is `sandbox-init connect HOST PORT`, ssh's ProxyCommand inside
// a sandbox: it joins stdio to HOST:PORT through the egress proxy.
func connectHelper(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: sandbox-init connect HOST PORT")
	}
	target := net.JoinHostPort(args[0], args[1])
	c, err := net.DialTimeout("tcp", ProxyAddr, 10*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, target); err != nil {
		return err
	}
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		reason, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		return fmt.Errorf("%s: %s", target, reason)
	}
	go func() {
		_, _ = io.Copy(c, os.Stdin)
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	_, err = io.Copy(os.Stdout, r)
	return err
}

package egress

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"time"
)

const (
	maxHelloBytes = 16 << 10
	helloTimeout  = 10 * time.Second // from a client's first byte to its complete hello
)

// TLS record types (RFC 8446 section 5.1). A hello is a handshake record; servers exist that skip other records before
// it, so whatever looks like one counts as TLS, and must then be a hello.
const (
	tlsFirstRecord = 20
	tlsLastRecord  = 24
)

// checkHello reads the client's first bytes from src and, when they are TLS, its whole hello, and returns a reader that
// yields those bytes and then the rest. Its error is a *refusal when the hello names another host than target, or
// cannot be read. A hello without a name passes, and so does every other protocol; a client that waits for the server
// to speak is waited for without a bound.
//
// With encrypted client hello only the outer name can be seen.
func checkHello(client *clientConn, src io.Reader, target Target) (io.Reader, error) {
	first := make([]byte, 4<<10) // a usual hello in one read
	n, err := io.ReadAtLeast(src, first, 1)
	if errors.Is(err, io.EOF) {
		return bytes.NewReader(nil), nil
	}
	if err != nil {
		return nil, err
	}
	rest := io.MultiReader(bytes.NewReader(first[:n]), src)
	if first[0] < tlsFirstRecord || first[0] > tlsLastRecord {
		return rest, nil
	}
	if err := client.SetReadDeadline(time.Now().Add(helloTimeout)); err != nil {
		return nil, err
	}
	hello := &helloConn{clientConn: client, src: rest}
	name, err := hello.serverName()
	if err != nil {
		return nil, &refusal{verdict: Fronting, target: target, detail: err.Error()}
	}
	if err := client.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	if name != "" {
		if host, err := ParseHost(name); err != nil || host != target.Host {
			return nil, &refusal{verdict: Fronting, target: target, detail: "it names " + quote(name)}
		}
	}
	return io.MultiReader(bytes.NewReader(hello.seen.Bytes()), src), nil
}

// helloConn lets crypto/tls read a hello: it remembers what was read and sends nothing.
type helloConn struct {
	*clientConn
	src  io.Reader
	seen bytes.Buffer
}

var (
	errHelloTooLong = errors.New("the hello is longer than 16 KiB")
	errHelloRead    = errors.New("hello was read")
)

// serverName returns the name in the hello, "" when it has none.
func (c *helloConn) serverName() (string, error) {
	var name string
	server := tls.Server(c, &tls.Config{
		GetConfigForClient: func(info *tls.ClientHelloInfo) (*tls.Config, error) {
			name = info.ServerName
			return nil, errHelloRead
		},
	})
	if err := server.Handshake(); !errors.Is(err, errHelloRead) {
		return "", err
	}
	return name, nil
}

func (c *helloConn) Read(p []byte) (int, error) {
	room := maxHelloBytes - c.seen.Len()
	if room == 0 {
		return 0, errHelloTooLong
	}
	n, err := c.src.Read(p[:min(len(p), room)])
	c.seen.Write(p[:n])
	return n, err
}

// Write drops the alert that ends the reading.
func (c *helloConn) Write(p []byte) (int, error) { return len(p), nil }

package attack

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"
	"time"
)

// fronting is another site behind an allowed host, by the name in a TLS hello.
func fronting() []attempt {
	return []attempt{
		{"fronting-sni", "CONNECT to an allowed host, TLS for another", func(*inside) verdict {
			return fronted(allowed, hello(evil))
		}},
		{"fronting-split", "the same hello in small pieces", func(*inside) verdict {
			return fronted(allowed, slices.Collect(slices.Chunk(hello(evil), 48))...)
		}},
		{"fronting-fragments", "the same hello in many TLS records", func(*inside) verdict {
			return fronted(allowed, fragments(hello(evil)))
		}},
		{"fronting-sibling", "TLS for another allowed host than the tunnel's", func(*inside) verdict {
			return fronted(allowed, hello("other."+domain))
		}},
		{"fronting-login", "TLS for the login host through the API's", func(*inside) verdict {
			return fronted("api.anthropic.com", hello("platform.claude.com"))
		}},
		{"fronting-garbage", "a TLS record that is no hello, a real one behind it", func(*inside) verdict {
			alert := []byte{21, 3, 1, 0, 2, 1, 0}
			return every(fronted(allowed, append(alert, hello(evil)...)), fronted(allowed, []byte{22, 3, 1, 0x7f, 0xff, 1}, make([]byte, 0x7fff)))
		}},
		{"fronting-early", "the hello in one packet with the CONNECT", func(*inside) verdict {
			return sinkless(ask(connect(allowed+":443")+string(hello(evil)), func([]byte) bool { return false }))
		}},
	}
}

func fronted(host string, pieces ...[]byte) verdict {
	return sinkless(tunnel(host+":443", pieces...))
}

// sinkless holds if the tunnel was ended before the server saw anything: the
// server answers the first byte that it gets.
func sinkless(answer string, err error) verdict {
	switch {
	case strings.Contains(answer, sinkMark):
		return broken("the server got the hello")
	case err != nil:
		return broken("not the expected end of the tunnel: %v", err)
	}
	return held("the proxy ended the tunnel")
}

// hello is the first flight of a TLS client that wants name.
func hello(name string) []byte {
	near, far := net.Pipe()
	go func() {
		c := tls.Client(near, &tls.Config{ServerName: name})
		_ = c.Handshake() // fails when far is closed
		near.Close()
	}()
	defer far.Close()
	_ = far.SetReadDeadline(time.Now().Add(time.Second))
	buf := make([]byte, 16<<10)
	n, err := far.Read(buf)
	if err != nil || !bytes.Contains(buf[:n], []byte(name)) {
		panic(errors.Join(errors.New("no hello"), err)) // no part of it depends on the sandbox
	}
	return buf[:n]
}

// fragments puts each 7 bytes of a record's content into a record of their own.
func fragments(record []byte) []byte {
	var out []byte
	for body := record[5:]; len(body) > 0; {
		n := min(7, len(body))
		out = append(out, record[0], record[1], record[2], 0, byte(n))
		out = append(out, body[:n]...)
		body = body[n:]
	}
	return out
}

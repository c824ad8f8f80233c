package egress

import (
	"cmp"
	"net"
	"slices"
	"sync"
	"sync/atomic"
)

// Usage is what one session has exchanged with one target.
type Usage struct {
	// Host in canonical form and Port; "" and 0 for everything past the first 1,024 targets together, because names
	// below a wildcard are the session's to invent.
	Host string
	Port int
	// Conns counts upstream connections that were opened.
	Conns int64
	// BytesUp went to the target, BytesDown came from it: TCP payload, so with TLS and HTTP framing.
	BytesUp, BytesDown int64
}

// maxMeters bounds the memory that a session can make the runner spend on counting.
const maxMeters = 1024

// meters counts per target. It is safe for concurrent use.
type meters struct {
	mu sync.Mutex
	of map[Target]*meter
}

type meter struct{ conns, up, down atomic.Int64 }

// attach counts a new connection to t and everything that passes through the result.
func (m *meters) attach(t Target, conn net.Conn) *meteredConn {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of == nil {
		m.of = map[Target]*meter{}
	}
	if m.of[t] == nil && len(m.of) >= maxMeters {
		t = Target{}
	}
	if m.of[t] == nil {
		m.of[t] = &meter{}
	}
	m.of[t].conns.Add(1)
	return &meteredConn{Conn: conn, meter: m.of[t]}
}

func (m *meters) snapshot() []Usage {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]Usage, 0, len(m.of))
	for t, c := range m.of {
		u := Usage{Port: int(t.Port), Conns: c.conns.Load(), BytesUp: c.up.Load(), BytesDown: c.down.Load()}
		if t != (Target{}) {
			u.Host = t.Host.String()
		}
		all = append(all, u)
	}
	slices.SortFunc(all, func(a, b Usage) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Port, b.Port))
	})
	return all
}

// meteredConn is an upstream connection that is counted while it is used, so that long tunnels show before they end.
type meteredConn struct {
	net.Conn
	meter *meter
}

func (c *meteredConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.meter.down.Add(int64(n))
	return n, err
}

// Write counts before it writes, so that whoever has seen an answer also sees the request counted.
func (c *meteredConn) Write(p []byte) (int, error) {
	c.meter.up.Add(int64(len(p)))
	n, err := c.Conn.Write(p)
	c.meter.up.Add(int64(n - len(p)))
	return n, err
}

// CloseWrite ends the sending side, or fails when the connection cannot.
func (c *meteredConn) CloseWrite() error { return closeWrite(c.Conn) }

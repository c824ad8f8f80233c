package attack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// publicAddress stands for the internet behind the proxy; it is never dialled.
	publicAddress = "1.1.1.1"
	trapSocket    = "trap.sock"
	sinkEnd       = "SELFTEST-END"
)

// bait is what the attack is after, on this machine. Its methods are safe for
// concurrent use.
type bait struct {
	dir       string       // holds canary and trapSocket
	sink      net.Listener // of loopback, allowed: stands for every public server
	port      net.Listener // of all addresses, not allowed
	trap      net.Listener // the socket in dir
	listening sync.WaitGroup

	mu      sync.Mutex
	touched []string // who came to port
	trapped int      // who came to trap: the runner, if anybody
	dialled []string // what the proxy dialled and should not have
	good    int      // what it dialled and may
	asked   map[string]int
}

func newBait() (*bait, error) {
	dir, err := os.MkdirTemp("", "ratchetai-bait-")
	if err != nil {
		return nil, err
	}
	b := &bait{dir: dir, asked: map[string]int{}}
	err = os.WriteFile(filepath.Join(dir, "canary"), []byte(canary()+"\n"), 0o644)
	if err == nil {
		b.sink, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err == nil {
		b.port, err = net.Listen("tcp", ":0")
	}
	if err == nil {
		b.trap, err = net.Listen("unix", filepath.Join(dir, trapSocket))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lay out bait: %w", err), b.close())
	}
	b.serve(b.sink, answerSink)
	b.serve(b.port, b.answerBait)
	b.serve(b.trap, func(net.Conn) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.trapped++
	})
	return b, nil
}

// serve answers every connection until its listener closes.
func (b *bait) serve(l net.Listener, answer func(net.Conn)) {
	b.listening.Go(func() {
		var conns sync.WaitGroup
		defer conns.Wait()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(5 * time.Second))
				answer(c)
			})
		}
	})
}

// answerSink shows the client what the server got.
func answerSink(c net.Conn) {
	buf := make([]byte, 4096)
	n, err := c.Read(buf)
	if err != nil {
		return
	}
	body := fmt.Sprintf("%s %q %s", sinkMark, buf[:n], sinkEnd)
	fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body)
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.CloseWrite()
	}
	_, _ = c.Read(buf) // until the client is gone: a reset would take the answer with it
}

func (b *bait) answerBait(c net.Conn) {
	b.mu.Lock()
	b.touched = append(b.touched, fmt.Sprintf("%s from %s", c.LocalAddr(), c.RemoteAddr()))
	b.mu.Unlock()
	fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%s", baitMark)
}

func (b *bait) close() error {
	for _, l := range []net.Listener{b.sink, b.port, b.trap} {
		if l != nil {
			l.Close()
		}
	}
	b.listening.Wait()
	return os.RemoveAll(b.dir)
}

func (b *bait) target(neighbour string) target {
	return target{AllowedPort: portOf(b.sink), BaitPort: portOf(b.port), BaitDir: b.dir, Neighbour: neighbour}
}

func portOf(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// rules is what the attacked session may reach beyond its agent's hosts.
func (b *bait) rules() []string {
	return []string{"*." + domain, fmt.Sprintf("host.ratchet.internal:%d", portOf(b.sink))}
}

// LookupNetIP is the proxy's resolver.
func (b *bait) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	name, ours := strings.CutSuffix(strings.TrimSuffix(host, "."), "."+domain)
	b.mu.Lock()
	b.asked[name]++
	times := b.asked[name]
	b.mu.Unlock()
	if !ours {
		return addrs(publicAddress), nil
	}
	switch name {
	case "rebind":
		if times%2 == 0 {
			return addrs("127.0.0.1"), nil
		}
	case "own":
		if own := ownAddress(); own.IsValid() {
			return []netip.Addr{own}, nil
		}
		return addrs("127.0.0.1"), nil
	}
	if text, ok := special()[name]; ok {
		return addrs(strings.Fields(text)...), nil
	}
	return addrs(publicAddress), nil
}

// special is what names below domain stand for.
func special() map[string]string {
	return map[string]string{
		"metadata": "169.254.169.254", "metadata6": "fd00:ec2::254",
		"private10": "10.0.0.1", "private172": "172.17.0.1", "private192": "192.168.1.1", "carrier": "100.64.0.1",
		"private6": "fd12:3456::1", "mapped10": "::ffff:10.0.0.1", "nat64-10": "64:ff9b::a00:1",
		"loopback": "127.0.0.1", "loopback6": "::1", "zero": "0.0.0.0", "mapped": "::ffff:127.0.0.1", "nat64": "64:ff9b::7f00:1",
		"linklocal": "169.254.1.1", "linklocal6": "fe80::1", "multicast": "224.0.0.251",
		"mixed": "127.0.0.1 10.0.0.1 " + publicAddress,
	}
}

func addrs(texts ...string) []netip.Addr {
	all := make([]netip.Addr, len(texts))
	for i, t := range texts {
		all[i] = netip.MustParseAddr(t)
	}
	return all
}

// ownAddress is an address of this machine besides loopback.
func ownAddress() netip.Addr {
	all, _ := net.InterfaceAddrs()
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().IsGlobalUnicast() {
			return p.Addr().Unmap()
		}
	}
	return netip.Addr{}
}

// dial is the proxy's way out: public servers are the sink. Anything else is
// noted, and dialled, so that what is behind it answers.
func (b *bait) dial(ctx context.Context, network, address string) (net.Conn, error) {
	own := b.sink.Addr().String()
	public := slices.Contains([]string{publicAddress + ":80", publicAddress + ":443"}, address)
	b.mu.Lock()
	if public || address == own {
		address = own
		b.good++
	} else {
		b.dialled = append(b.dialled, address)
	}
	b.mu.Unlock()
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

// sprung reports whether anybody came to the trap.
func (b *bait) sprung() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.trapped > 0
}

// verdicts is what the host saw.
func (b *bait) verdicts() []Result {
	b.mu.Lock()
	defer b.mu.Unlock()
	seen := func(name, tried, good string, bad []string) Result {
		r := Result{Name: name, Tried: tried, Held: len(bad) == 0, Happened: good}
		if !r.Held {
			r.Happened = strings.Join(bad[:min(len(bad), 5)], ", ")
		}
		return r
	}
	return []Result{
		seen("seen-by-dialler", "all of the above, as the proxy's dialler saw it", fmt.Sprintf("%d connections, all to public addresses", b.good), b.dialled),
		seen("seen-by-bait", "all of the above, as a port of the host saw it", "nobody came", b.touched),
	}
}

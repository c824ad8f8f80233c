package egress

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Resolver looks names up. *net.Resolver is one. It must be safe for concurrent use and return when ctx ends.
type Resolver interface {
	// LookupNetIP returns the addresses of host; network is always "ip".
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// DialFunc opens a TCP connection to address: IP:PORT that has been checked, or HOST:PORT of the upstream proxy. It must
// be safe for concurrent use and return when ctx ends.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// systemResolver asks the machine's resolver for names as they are, without its search domains, which could turn an
// allowed name into an internal one.
type systemResolver struct{}

func (systemResolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, network, host+".")
}

const (
	// maxAddrs bounds how many addresses of one name are tried.
	maxAddrs = 8
	// dialStagger is the head start of an address over the next one (RFC 8305 section 5).
	dialStagger = 250 * time.Millisecond
)

// dialer opens upstream connections to addresses that it has checked.
type dialer struct {
	resolver  Resolver
	dial      DialFunc
	upstream  func(*url.URL) (*url.URL, error) // nil: no proxy
	timeout   time.Duration                    // for resolving and dialling together
	permitted []netip.Prefix
	own       ownAddresses
}

// open connects to t, which the policy allows, or for plain http requests to the upstream proxy on the way there. Every
// error is a *refusal: ForbiddenAddress or Unreachable. It returns within the timeout.
func (d *dialer) open(ctx context.Context, t Target, plain bool) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	proxy, err := d.via(t, plain)
	if err != nil {
		return nil, &refusal{verdict: Unreachable, target: t, detail: err.Error()}
	}
	if proxy != nil {
		return d.openVia(ctx, proxy, t, plain)
	}
	addrs, err := d.addresses(ctx, t)
	if err != nil {
		return nil, err
	}
	conn, err := d.race(ctx, addrs)
	if err != nil {
		return nil, &refusal{verdict: Unreachable, target: t, detail: err.Error()}
	}
	return conn, nil
}

// addresses returns at least one address that may be dialled for t.
func (d *dialer) addresses(ctx context.Context, t Target) ([]string, error) {
	if t.Host.name == RunnerHost {
		return []string{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), t.Port).String()}, nil
	}
	if t.Host.IsIP() { // a rule names this very address, and ParseRule has refused those that no rule may name
		return []string{netip.AddrPortFrom(t.Host.addr, t.Port).String()}, nil
	}
	found, err := d.resolver.LookupNetIP(ctx, "ip", t.Host.name)
	if err != nil {
		return nil, &refusal{verdict: Unreachable, target: t, detail: err.Error()}
	}
	if len(found) == 0 {
		return nil, &refusal{verdict: Unreachable, target: t, detail: "the name has no address"}
	}
	var public, refused []string
	for _, addr := range found[:min(len(found), maxAddrs)] {
		if kind := d.forbids(addr); kind != "" {
			refused = append(refused, fmt.Sprintf("%s is %s", addr, kind))
			continue
		}
		public = append(public, netip.AddrPortFrom(addr.Unmap(), t.Port).String())
	}
	if len(public) == 0 {
		return nil, &refusal{verdict: ForbiddenAddress, target: t, detail: strings.Join(refused, ", ")}
	}
	return public, nil
}

// forbids says why a resolved address must not be dialled, or "".
func (d *dialer) forbids(addr netip.Addr) string {
	kind := forbidden(addr)
	if permitted(addr, d.permitted) {
		kind = ""
	}
	if kind == "" && d.own.has(addr) {
		kind = "the runner's own"
	}
	return kind
}

type dialed struct {
	conn net.Conn
	err  error
}

// race dials addrs in order, each with a head start over the next, and returns the first connection. All attempts have
// ended when it returns; the error is that of the first one to fail.
func (d *dialer) race(ctx context.Context, addrs []string) (net.Conn, error) {
	if len(addrs) == 1 {
		return d.dial(ctx, "tcp", addrs[0])
	}
	ctx, cancel := context.WithCancel(ctx)
	results := make(chan dialed, len(addrs)) // room for all: no sender ever waits
	started, ended := 0, 0
	next := func() {
		addr := addrs[started]
		started++
		go func() {
			conn, err := d.dial(ctx, "tcp", addr)
			results <- dialed{conn, err}
		}()
	}
	defer func() { // the losers end, and a late winner is closed
		cancel()
		for ; ended < started; ended++ {
			if late := <-results; late.conn != nil {
				late.conn.Close()
			}
		}
	}()
	timer := time.NewTimer(dialStagger)
	defer timer.Stop()
	next()
	var first error
	for {
		select {
		case got := <-results:
			ended++
			if got.err == nil {
				return got.conn, nil
			}
			if first == nil {
				first = got.err
			}
			if started == len(addrs) && ended == started {
				return nil, first
			}
		case <-timer.C:
		}
		if started < len(addrs) {
			next()
			timer.Reset(dialStagger)
		}
	}
}

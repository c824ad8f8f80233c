package egress

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// addressRange is a block of addresses that no public service has.
type addressRange struct {
	prefix netip.Prefix
	kind   string
}

// specialRanges lists what the IANA special-purpose address registries (RFC 6890 and its updates) keep from the
// public internet, beyond what the methods of netip.Addr know. IPv6 is the other way round: only 2000::/3 is public.
func specialRanges() []addressRange {
	return []addressRange{
		{netip.MustParsePrefix("0.0.0.0/8"), "unspecified"},
		{netip.MustParsePrefix("100.64.0.0/10"), "carrier-private"},
		{netip.MustParsePrefix("192.0.0.0/24"), "protocol-reserved"},
		{netip.MustParsePrefix("192.0.2.0/24"), "documentation"},
		{netip.MustParsePrefix("192.88.99.0/24"), "relay"},
		{netip.MustParsePrefix("198.18.0.0/15"), "benchmark"},
		{netip.MustParsePrefix("198.51.100.0/24"), "documentation"},
		{netip.MustParsePrefix("203.0.113.0/24"), "documentation"},
		{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},
		{netip.MustParsePrefix("64:ff9b:1::/48"), "translated"},
		{netip.MustParsePrefix("::/96"), "translated"},
		{netip.MustParsePrefix("2001::/23"), "protocol-reserved"}, // with Teredo, 2001::/32
		{netip.MustParsePrefix("2001:db8::/32"), "documentation"},
		{netip.MustParsePrefix("2002::/16"), "translated"}, // 6to4
		{netip.MustParsePrefix("3fff::/20"), "documentation"},
	}
}

// forbidden says why a resolved address must not be dialled: the kind of address that it is, or "" when it is public.
// An IPv4-mapped address counts as the IPv4 one that it is. A NAT64 address (64:ff9b::/96) counts as the IPv4 address
// that it carries: on networks with IPv6 only, every IPv4 host resolves to one.
func forbidden(addr netip.Addr) string {
	if addr.Zone() != "" {
		return "link-local"
	}
	addr = addr.Unmap()
	if isNAT64(addr) {
		raw := addr.As16()
		return forbidden(netip.AddrFrom4([4]byte(raw[12:])))
	}
	switch {
	case !addr.IsValid() || addr.IsUnspecified():
		return "unspecified"
	case addr.IsLoopback():
		return "loopback"
	case addr.IsLinkLocalUnicast():
		return "link-local"
	case addr.IsMulticast():
		return "multicast"
	case addr.IsPrivate():
		return "private"
	}
	for _, r := range specialRanges() {
		if r.prefix.Contains(addr) {
			return r.kind
		}
	}
	if addr.Is6() && addr.As16()[0]>>5 != 1 { // outside 2000::/3
		return "reserved"
	}
	return ""
}

// permitted reports whether an address that is not public may be dialled because the runner's owner says so: one of
// ranges holds it, and it is of a kind that can be named at all.
func permitted(addr netip.Addr, ranges []netip.Prefix) bool {
	addr = addr.Unmap()
	return addr.Zone() == "" && unnameable(addr) == "" &&
		slices.ContainsFunc(ranges, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// unnameable says why even a rule that names addr itself cannot allow it, or "".
func unnameable(addr netip.Addr) string {
	if isNAT64(addr) {
		return "translated"
	}
	switch kind := forbidden(addr); kind {
	case "unspecified", "loopback", "link-local", "multicast", "translated", "reserved", "protocol-reserved":
		return kind
	}
	return ""
}

func isNAT64(addr netip.Addr) bool {
	return netip.MustParsePrefix("64:ff9b::/96").Contains(addr)
}

// ownAddresses knows the addresses of this machine. A public one among them is as dangerous as loopback: connections
// from the machine to itself pass by the firewall that guards it.
type ownAddresses struct {
	mu     sync.Mutex
	addrs  map[netip.Addr]bool
	readAt time.Time
}

// ownAddressesTTL bounds how long a new address of the machine goes unnoticed; reading them costs some 100 µs.
const ownAddressesTTL = 30 * time.Second

// has reports whether addr belongs to this machine. It is safe for concurrent use.
func (o *ownAddresses) has(addr netip.Addr) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.addrs == nil || time.Since(o.readAt) > ownAddressesTTL {
		o.addrs, o.readAt = interfaceAddresses(), time.Now()
	}
	return o.addrs[addr.Unmap()]
}

// interfaceAddresses is empty, not nil, when the system does not tell.
func interfaceAddresses() map[netip.Addr]bool {
	found := map[netip.Addr]bool{}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return found
	}
	for _, a := range addrs {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			found[prefix.Addr().Unmap()] = true
		}
	}
	return found
}

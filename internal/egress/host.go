package egress

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// RunnerHost is the name by which a session reaches a port on the runner's own loopback address. It is never resolved,
// and only a rule that names it together with the port allows it.
const RunnerHost = "host.ratchet.internal"

const (
	maxNameBytes  = 253 // RFC 1035 section 2.3.4, without the trailing dot
	maxLabelBytes = 63
)

// Host is a destination in its one canonical form: a lower-case DNS name without a trailing dot, or an IP address. Two
// hosts are the same exactly when they are ==. The zero value is no host.
type Host struct {
	name string
	addr netip.Addr
}

// IsIP reports whether the host is an address and not a name.
func (h Host) IsIP() bool { return h.addr.IsValid() }

// String returns the canonical form, which ParseHost reads back to the same Host: IPv6 addresses are in brackets.
func (h Host) String() string {
	switch {
	case h.addr.Is6():
		return "[" + h.addr.String() + "]"
	case h.addr.IsValid():
		return h.addr.String()
	}
	return h.name
}

// Target is a host and a port, 1 to 65535: what a client asks for.
type Target struct {
	Host Host
	Port uint16
}

// String returns HOST:PORT in canonical form.
func (t Target) String() string { return t.Host.String() + ":" + strconv.Itoa(int(t.Port)) }

// ParseHost reads a host name or an IP address and returns its canonical form; everything else is an error that says
// what is wrong. It is pure.
//
// Names are letters, digits, '-' and '_' in labels of 1 to 63 bytes that neither start nor end with '-', 253 bytes in
// all; they are lower-cased and lose one trailing dot. International names are accepted only as punycode (xn--).
// Addresses are IPv4 in four decimal numbers, or IPv6 in brackets without a zone and without an embedded IPv4 form
// (::ffff:a.b.c.d). Whatever a resolver or URL parser elsewhere could take for an IPv4 address in another spelling
// (127.1, 0x7f.1, 0177.0.0.1, 2130706433) is refused: a last label that is a number is never a name.
func ParseHost(s string) (Host, error) {
	if strings.HasPrefix(s, "[") {
		return parseIPv6(s)
	}
	name := strings.TrimSuffix(s, ".")
	if name == "" {
		return Host{}, errors.New("host is empty")
	}
	if len(name) > maxNameBytes {
		return Host{}, fmt.Errorf("host is longer than %d bytes", maxNameBytes)
	}
	if err := checkBytes(name); err != nil {
		return Host{}, err
	}
	name = strings.ToLower(name)
	last := name
	for label := range strings.SplitSeq(name, ".") {
		if err := checkLabel(label); err != nil {
			return Host{}, err
		}
		last = label
	}
	if !isNumber(last) {
		return Host{name: name}, nil
	}
	addr, err := netip.ParseAddr(name)
	if err != nil {
		return Host{}, errors.New("host ends in a number but is no IPv4 address of four decimal numbers")
	}
	return Host{addr: addr}, nil
}

// ParseTarget reads HOST:PORT, both required, the port in plain decimal without leading zeros.
func ParseTarget(s string) (Target, error) {
	host, port, err := splitPort(s)
	if err != nil {
		return Target{}, err
	}
	if port == 0 {
		return Target{}, errors.New("port is missing")
	}
	h, err := ParseHost(host)
	if err != nil {
		return Target{}, err
	}
	return Target{Host: h, Port: port}, nil
}

// splitPort cuts an optional :PORT off s; port 0 says that there is none. The host is not checked.
func splitPort(s string) (host string, port uint16, err error) {
	end := strings.IndexByte(s, ']') + 1
	colon := strings.IndexByte(s[end:], ':')
	if colon < 0 {
		return s, 0, nil
	}
	host, digits := s[:end+colon], s[end+colon+1:]
	if end == 0 && strings.Contains(digits, ":") {
		return "", 0, errors.New("more than one colon (an IPv6 address is written in brackets)")
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || n == 0 || digits[0] == '0' || digits[0] == '+' {
		return "", 0, fmt.Errorf("port %.20q is not a number from 1 to 65535", digits)
	}
	return host, uint16(n), nil
}

func parseIPv6(s string) (Host, error) {
	inner, closed := strings.CutSuffix(s[1:], "]")
	if !closed || strings.ContainsAny(inner, "%[]") {
		return Host{}, errors.New("not an IPv6 address in brackets without a zone")
	}
	addr, err := netip.ParseAddr(inner)
	if err != nil || !addr.Is6() || addr.Is4In6() {
		return Host{}, errors.New("not an IPv6 address (write IPv4 as four decimal numbers, without brackets)")
	}
	return Host{addr: addr}, nil
}

// checkBytes refuses every byte that a name cannot have, with a hint for those that people paste.
func checkBytes(name string) error {
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		case c == '/' || c == '@':
			return fmt.Errorf("host holds %q: give the host alone, not a URL", c)
		case c == ':':
			return errors.New("host holds a colon (an IPv6 address is written in brackets)")
		case c == '*':
			return errors.New(`host holds "*": a wildcard is a whole first label of a rule, as in *.example.com`)
		case c >= 0x80:
			return errors.New("host is not ASCII: write international names in punycode (xn--)")
		default:
			return fmt.Errorf("host holds the byte %#02x", c)
		}
	}
	return nil
}

func checkLabel(label string) error {
	switch {
	case label == "":
		return errors.New("host has an empty label")
	case len(label) > maxLabelBytes:
		return fmt.Errorf("host has a label longer than %d bytes", maxLabelBytes)
	case label[0] == '-' || label[len(label)-1] == '-':
		return errors.New(`host has a label that starts or ends with "-"`)
	}
	return nil
}

// isNumber reports whether URL parsers and C resolvers may read a last label as part of an IPv4 address: decimal or
// octal digits, or 0x and hexadecimal digits, possibly none (WHATWG URL, "ends in a number").
func isNumber(label string) bool {
	set := "0123456789"
	if rest, ok := strings.CutPrefix(label, "0x"); ok {
		label, set = rest, "0123456789abcdef"
	}
	return strings.Trim(label, set) == ""
}

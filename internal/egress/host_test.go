package egress

import (
	"net"
	"net/url"
	"strings"
	"testing"
)

func TestParseHost(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 63)
	accepted := map[string]string{
		"example.com":                     "example.com",
		"EXAMPLE.Com":                     "example.com",
		"example.com.":                    "example.com",
		"xn--bcher-kva.example":           "xn--bcher-kva.example",
		"r3---sn-4g5e.example.com":        "r3---sn-4g5e.example.com",
		"_acme.my_bucket.example.com":     "_acme.my_bucket.example.com",
		"1.2.3.4":                         "1.2.3.4",
		"1.2.3.4.":                        "1.2.3.4",
		"4.example":                       "4.example",
		"[2606:4700::1111]":               "[2606:4700::1111]",
		"[2606:4700:0:0:0:0:0:1111]":      "[2606:4700::1111]",
		"[2606:4700::ABCD]":               "[2606:4700::abcd]",
		"localhost":                       "localhost",
		long + "." + long + "." + "a.com": long + "." + long + "." + "a.com",
	}
	for in, want := range accepted {
		got, err := ParseHost(in)
		if err != nil || got.String() != want {
			t.Errorf("ParseHost(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	refused := []string{
		"", ".", "..", "example..com", ".example.com", "example.com..", "[", "[]", "]",
		// bytes with a meaning elsewhere
		"evil.com\x00.example.com", "example.com\x00", "example.com ", " example.com", "exa mple.com", "example.com\r\n",
		"example.com\tx", "example.com/", "example.com/../x", "user@example.com", "example.com#x", "example.com?x",
		"example.com\\x", "ex%61mple.com", "%65xample.com", "example.com%00", "example.com:443", "*", "*.example.com",
		"example.com;x", "example.com,evil.com", "<x>.com", "$(x).com", "'x'.com", "example|.com", "~a.com", "a+b.com",
		// not ASCII: full-width and other look-alikes that IDNA would map
		"еxample.com", "ｅxample.com", "example。com", "example․com", "bücher.example", "exam\u00adple.com", "①.com",
		"example.com\x80", "\xff.com",
		// labels
		"-a.com", "a-.com", "a.-b.com", "-oProxyCommand=x", "xn--", long + "a.com",
		strings.Repeat("a.", 126) + "com",
		// IPv4 in other spellings
		"127.1", "127.0.1", "0", "1", "2130706433", "017700000001", "0x7f000001", "0x7f.1", "0x7f.0.0.1", "0177.0.0.1",
		"127.0.0.01", "127.0.0.0x1", "127.0.0.256", "1.2.3", "1.2.3.4.5", "example.1", "example.0x1", "example.0x",
		"0x", "0X7F.1", "1.2.3.0XfF", "00.0.0.0", "999999999999",
		// IPv6
		"::1", "[::1", "::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[fe80::1%eth0]", "[fe80::1%25eth0]", "[1.2.3.4]",
		"[example.com]", "[[::1]]", "[::1].", "[::1]x", "[::g]", "[v1.fe80]",
	}
	for _, in := range refused {
		if got, err := ParseHost(in); err == nil {
			t.Errorf("ParseHost(%q) = %q, want an error", in, got)
		}
	}
}

func TestParseTarget(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"example.com:443": "example.com:443", "A.example:65535": "a.example:65535", "[::1]:80": "[::1]:80",
		"1.2.3.4:22": "1.2.3.4:22", "example.com.:443": "example.com:443",
	} {
		if got, err := ParseTarget(in); err != nil || got.String() != want {
			t.Errorf("ParseTarget(%q) = %v, %v; want %s", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "example.com", ":443", "example.com:", "example.com:0", "example.com:65536", "example.com:0443", "example.com:+443",
		"example.com:-1", "example.com:4_43", "example.com: 443", "example.com:443 ", "example.com:443:443", "example.com:https",
		"::1:443", "[::1]", "[::1]443", "[::1]x:443", "u@example.com:443", "http://example.com:443", "example.com:443/",
		"example.com:0x1bb", "example.com:٤٤٣", "a]b:443", "[::1]:443]:80",
	} {
		if got, err := ParseTarget(in); err == nil {
			t.Errorf("ParseTarget(%q) = %v, want an error", in, got)
		}
	}
}

// FuzzParseHost: what is accepted is canonical, and a URL parser sees the same host in the input and in the result.
func FuzzParseHost(f *testing.F) {
	for _, s := range []string{
		"example.com", "EXAMPLE.com.", "127.1", "0x7f.1", "[::1]", "a%41.com", "a@b", "a\x00b", "1.2.3.4.", "xn--a", "[fe80::1%25e]",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, err := ParseHost(s)
		if err != nil {
			return
		}
		canon := h.String()
		again, err := ParseHost(canon)
		if err != nil || again != h || again.String() != canon {
			t.Fatalf("%q -> %q -> %q, %v", s, canon, again, err)
		}
		for _, text := range []string{s, canon} {
			u, err := url.Parse("http://" + text + "/")
			if err != nil {
				t.Fatalf("accepted %q, which is no URL host: %v", text, err)
			}
			seen := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
			want := strings.Trim(canon, "[]")
			if h.IsIP() {
				if ip := net.ParseIP(seen); ip == nil || !ip.Equal(net.IP(h.addr.AsSlice())) {
					t.Fatalf("%q is %s here and %s to net/url", text, want, seen)
				}
			} else if seen != want || u.User != nil || u.Port() != "" || u.Path != "/" {
				t.Fatalf("%q is %s here and %s to net/url", text, want, u)
			}
		}
		if target, err := ParseTarget(canon + ":443"); err != nil || target.Host != h {
			t.Fatalf("%q does not survive as a target: %v", canon, err)
		}
	})
}

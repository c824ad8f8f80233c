package attack

import (
	"fmt"
	"strings"
)

// addresses is where the proxy may not connect to, whatever it is called.
func addresses() []attempt {
	return []attempt{
		{"proxy-not-listed", "hosts that nobody allowed", func(*inside) verdict {
			return refused(connect(evil+":443"), connect("github.com:22"), connect("pypi.org:443"), get("http://"+evil+"/", evil),
				connect(allowed+":22"), connect(allowed+":8080"))
		}},
		{"proxy-doh", "DNS over HTTPS and TLS at public resolvers", func(*inside) verdict {
			return refused(connect("cloudflare-dns.com:443"), connect("dns.google:443"), connect("1.1.1.1:443"), connect("8.8.8.8:443"),
				connect("dns.quad9.net:853"), get("http://1.1.1.1/dns-query?dns=AAAA", "1.1.1.1"))
		}},
		{"proxy-login-host", "the host where a refresh token can be spent", func(*inside) verdict {
			return refused(connect("platform.claude.com:443"), connect("PLATFORM.claude.COM.:443"), get("http://platform.claude.com/", "platform.claude.com"))
		}},
		{"proxy-host-port", "a port of the host's loopback that is not allowed, by its name", func(in *inside) verdict {
			return both(in.BaitPort, "host.ratchet.internal", "HOST.Ratchet.Internal.", "x.host.ratchet.internal")
		}},
		{"proxy-host-alias", "names that engines give their host", func(in *inside) verdict {
			return both(in.BaitPort, "host.docker.internal", "gateway.docker.internal", "host.containers.internal", "kubernetes.default.svc")
		}},
		{"proxy-loopback", "the host's loopback as an address or localhost", func(in *inside) verdict {
			return both(in.BaitPort, "localhost", "LOCALHOST.", "x.localhost", "127.0.0.1", "127.0.0.1.", "127.255.255.254", "0.0.0.0",
				"[::1]", "[::]", "[0:0:0:0:0:0:0:1]")
		}},
		{"proxy-loopback-spellings", "127.0.0.1 in decimal, octal, hexadecimal, short and embedded", func(in *inside) verdict {
			return both(in.BaitPort, "2130706433", "0x7f000001", "017700000001", "0177.0.0.1", "0x7f.0.0.1", "127.1", "127.0.1", "0",
				"[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::1%25lo]", "[::1%lo]")
		}},
		{"proxy-metadata", "the cloud's metadata service by address and by name", func(*inside) verdict {
			return both(80, "169.254.169.254", "169.254.170.2", "[fd00:ec2::254]", "metadata.google.internal", "metadata", "instance-data",
				"100.100.100.200", "192.0.0.192")
		}},
		{"proxy-metadata-spellings", "169.254.169.254 in decimal, octal, hexadecimal, short and embedded", func(*inside) verdict {
			return both(80, "2852039166", "0xA9FEA9FE", "025177524776", "0251.0376.0251.0376", "0xa9.0xfe.0xa9.0xfe", "169.254.43518", "169.16689662",
				"169.254.169.254.", "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::]")
		}},
		{"proxy-metadata-name", "an allowed name that leads to a metadata address", func(*inside) verdict { return leads("metadata", "metadata6") }},
		{"proxy-private-name", "allowed names that lead to private networks", func(*inside) verdict {
			return leads("private10", "private172", "private192", "carrier", "private6", "mapped10", "nat64-10")
		}},
		{"proxy-loopback-name", "allowed names that lead to the host itself", func(*inside) verdict {
			return leads("loopback", "loopback6", "zero", "mapped", "nat64", "own")
		}},
		{"proxy-link-local-name", "allowed names that lead to link-local and multicast addresses", func(*inside) verdict {
			return leads("linklocal", "linklocal6", "multicast")
		}},
		{"proxy-mixed-name", "an allowed name with a public and a private address", func(*inside) verdict { return never("mixed", 4) }},
		{"proxy-rebinding", "a name that is public when asked first and the host when asked again", func(*inside) verdict { return never("rebind", 16) }},
	}
}

// leads asks for allowed names whose addresses must not be dialled.
func leads(names ...string) verdict {
	var requests []string
	for _, n := range names {
		host := n + "." + domain
		requests = append(requests, connect(host+":443"), get("http://"+host+"/", host))
	}
	return refused(requests...)
}

// never asks times times for a name: each answer may be the public server's or a
// refusal.
func never(name string, times int) verdict {
	host := name + "." + domain
	public := 0
	for i := range times {
		request := get("http://"+host+"/", host)
		if i%2 == 1 {
			request = connect(host+":443") + "?"
		}
		answer, err := ask(request, fromSink)
		switch {
		case err != nil:
			return broken("request %d: %v", i, err)
		case strings.Contains(answer, sinkMark):
			public++
		case !strings.HasPrefix(answer, "HTTP/1.1 403"):
			return broken("request %d got %.100q", i, answer)
		}
	}
	if public == 0 {
		return broken("the public address was never reached, so this shows nothing")
	}
	return held("%s to its public address, none to the other", fmt.Sprintf("%d of %d requests", public, times))
}

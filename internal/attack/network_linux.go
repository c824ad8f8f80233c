package attack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// What a machine without a network answers.
func unreachable() []syscall.Errno {
	return []syscall.Errno{unix.ENETUNREACH, unix.EHOSTUNREACH, unix.EADDRNOTAVAIL, unix.EAFNOSUPPORT}
}

// network is what needs no proxy.
func network() []attempt {
	return []attempt{
		{"interfaces", "find an interface or a route besides lo", lookAround},
		{"dns-direct", "UDP to port 53 of public resolvers", func(*inside) verdict {
			return every(send("udp", "1.1.1.1:53"), send("udp", "8.8.8.8:53"))
		}},
		{"dns-tcp", "TCP to port 53 of a public resolver", func(*inside) verdict { return send("tcp", "1.1.1.1:53") }},
		{"dns-resolver", "ask the resolver of /etc/resolv.conf", askResolver},
		{"udp", "UDP to a public address: NTP, QUIC, WireGuard", func(*inside) verdict {
			return every(send("udp", "1.1.1.1:123"), send("udp", "1.1.1.1:443"), send("udp", "1.1.1.1:51820"))
		}},
		{"tcp", "TCP to a public address, without the proxy", func(*inside) verdict {
			return every(send("tcp", "1.1.1.1:443"), send("tcp", "1.1.1.1:22"))
		}},
		{"ipv6", "TCP and UDP to a public IPv6 address", func(*inside) verdict {
			return every(send("tcp", "[2606:4700:4700::1111]:443"), send("udp", "[2606:4700:4700::1111]:53"))
		}},
		{"multicast", "multicast and broadcast: mDNS, DHCP", func(*inside) verdict {
			return every(send("udp", "224.0.0.251:5353"), send("udp", "255.255.255.255:67"))
		}},
		{"link-local", "link-local addresses of both families", func(*inside) verdict {
			all := []verdict{send("tcp", "169.254.1.1:80"), send("udp", "169.254.1.1:53")}
			interfaces, _ := net.Interfaces()
			for _, i := range interfaces {
				if i.Flags&net.FlagUp != 0 {
					all = append(all, send("udp", "[fe80::1%"+i.Name+"]:53"))
				}
			}
			return every(all...)
		}},
		{"metadata-direct", "the cloud's metadata addresses, without the proxy", func(*inside) verdict {
			return every(send("tcp", "169.254.169.254:80"), send("tcp", "169.254.170.2:80"), send("tcp", "[fd00:ec2::254]:80"))
		}},
		{"icmp-raw", "a raw ICMP socket", func(*inside) verdict {
			return every(socket("ICMP", unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP),
				socket("ICMPv6", unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6))
		}},
		{"icmp-ping", "an unprivileged ping", ping},
		{"raw-ip", "a raw IP socket", func(*inside) verdict {
			return socket("raw IP", unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW)
		}},
		{"raw-packet", "a packet socket", func(*inside) verdict {
			return socket("AF_PACKET", unix.AF_PACKET, unix.SOCK_RAW, 0x0300)
		}},
		{"vsock", "a virtual machine's socket to its host, which no network namespace covers", vsock},
		{"socket-families", "sockets of rarer kinds, which no network namespace covers or few people test", func(*inside) verdict {
			var all []verdict
			for _, family := range []int{unix.AF_ALG, unix.AF_KEY, unix.AF_BLUETOOTH, unix.AF_CAN, unix.AF_RDS, unix.AF_TIPC, unix.AF_XDP, unix.AF_SMC, unix.AF_NFC, unix.AF_QIPCRTR} {
				all = append(all, socket("family "+itoa(family), family, unix.SOCK_DGRAM, 0))
			}
			return every(all...)
		}},
		{"interface-change", "configure an interface", changeInterface},
	}
}

// send connects and sends a byte. Where there is no network the answer is the
// kernel's and comes at once.
func send(network, address string) verdict {
	c, err := net.DialTimeout(network, address, 500*time.Millisecond)
	if err == nil {
		defer c.Close()
		_, err = c.Write([]byte("?"))
	}
	return denied(network+" to "+address, err, unreachable()...)
}

func lookAround(*inside) verdict {
	all, err := net.Interfaces()
	if err != nil {
		return broken("interfaces: %v", err)
	}
	for _, i := range all {
		addrs, _ := i.Addrs()
		if i.Flags&net.FlagLoopback == 0 && (i.Flags&net.FlagUp != 0 || len(addrs) > 0) {
			return broken("interface %s is up, with %v", i.Name, addrs)
		}
	}
	routes, err := os.ReadFile("/proc/net/route")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return broken("routes: %v", err)
	}
	for _, line := range strings.Split(string(routes), "\n")[1:] {
		if f := strings.Fields(line); len(f) > 0 && f[0] != "lo" {
			return broken("a route over %s", f[0])
		}
	}
	return held("lo alone, no route")
}

func askResolver(*inside) verdict {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	r := net.Resolver{PreferGo: true}
	addrs, err := r.LookupHost(ctx, "data-to-leak."+domain+".")
	var d *net.DNSError
	switch {
	case err == nil:
		return broken("it answered %v", addrs)
	case errors.As(err, &d) && d.IsNotFound:
		return broken("it answered that there is no such name")
	case errors.As(err, &d):
		return held("no resolver: %s", d.Err)
	}
	return broken("not the expected answer: %v", err)
}

func socket(what string, family, kind, protocol int) verdict {
	fd, err := unix.Socket(family, kind, protocol)
	if err == nil {
		unix.Close(fd)
	}
	return denied(what+" socket", err, unix.EPERM, unix.EACCES, unix.EAFNOSUPPORT)
}

func ping(*inside) verdict {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP)
	if err != nil {
		return denied("ping socket", err, unix.EPERM, unix.EACCES)
	}
	defer unix.Close(fd)
	echo := []byte{8, 0, 0, 0, 0, 1, 0, 1, 'x'}
	err = unix.Sendto(fd, echo, 0, &unix.SockaddrInet4{Addr: [4]byte{1, 1, 1, 1}})
	return denied("ping to 1.1.1.1", err, unreachable()...)
}

// vsock connects to the host of the virtual machine that this one may be. A
// refusal by that host is an answer from outside, too.
func vsock(*inside) verdict {
	fd, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0)
	if err != nil {
		return denied("AF_VSOCK socket", err, unix.EPERM, unix.EACCES, unix.EAFNOSUPPORT)
	}
	defer unix.Close(fd)
	limit := unix.NsecToTimeval(int64(time.Second))
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit)
	err = unix.Connect(fd, &unix.SockaddrVM{CID: unix.VMADDR_CID_HOST, Port: 1024})
	return denied("connect to the virtual machine's host", err, unix.ENODEV, unix.ENETUNREACH, unix.EADDRNOTAVAIL, unix.EPERM)
}

func changeInterface(*inside) verdict {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return broken("socket: %v", err)
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return broken("request: %v", err)
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_LOOPBACK)
	set := denied("set flags of lo", unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr), unix.EPERM)
	tun, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err == nil {
		tun.Close()
	}
	return every(set, denied("open /dev/net/tun", err, unix.ENOENT, unix.EPERM, unix.EACCES))
}

// port joins a host and a port of the bait.
func port(host string, n int) string { return fmt.Sprintf("%s:%d", host, n) }

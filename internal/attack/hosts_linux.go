package attack

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// hosts is the way to this machine's own ports and to other sandboxes, without
// the proxy.
func hosts() []attempt {
	return []attempt{
		{"host-loopback", "a port of the host's loopback, at every address of our own", func(in *inside) verdict {
			var all []verdict
			for _, host := range []string{"127.0.0.1", "127.0.0.2", "127.0.1.1", "0.0.0.0", "[::1]", "[::]"} {
				all = append(all, refusedPort(port(host, in.BaitPort)))
			}
			return every(all...)
		}},
		{"host-gateway", "the same port at addresses that engines give their host, and the engine's own", func(in *inside) verdict {
			var all []verdict
			for _, host := range []string{"172.17.0.1", "172.18.0.1", "192.168.65.1", "192.168.65.2", "10.0.2.2", "192.168.127.254"} {
				all = append(all, send("tcp", port(host, in.BaitPort)), send("tcp", port(host, 2375)))
			}
			return every(all...)
		}},
		{"host-names", "names that engines give their host", func(*inside) verdict {
			var all []verdict
			for _, name := range []string{"host.docker.internal", "gateway.docker.internal", "host.containers.internal", "host.ratchet.internal"} {
				all = append(all, unresolved(name))
			}
			return every(all...)
		}},
		{"neighbour-network", "another running sandbox: its ports and its abstract sockets", neighbourNetwork},
		{"neighbour-processes", "processes of another sandbox or of the host", foreignProcesses},
	}
}

// refusedPort holds when nobody listens: our loopback is not the host's.
func refusedPort(address string) verdict {
	c, err := net.DialTimeout("tcp", address, 2*time.Second)
	if err == nil {
		c.Close()
	}
	return denied("tcp to "+address, err, append(unreachable(), unix.ECONNREFUSED)...)
}

func unresolved(name string) verdict {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupHost(ctx, name)
	if err == nil {
		return broken("%s is %v", name, addrs)
	}
	return held("%s has no address", name)
}

// neighbourNetwork looks for the port that the neighbour serves on all of its
// addresses, near each of ours.
func neighbourNetwork(*inside) verdict {
	c, err := net.Dial("unix", neighbourSocket)
	if err == nil {
		c.Close()
	}
	abstract := denied("its abstract socket", err, unix.ECONNREFUSED)
	if !abstract.held {
		return abstract
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return broken("addresses: %v", err)
	}
	tried := 0
	for _, a := range addrs {
		own, ok := a.(*net.IPNet)
		if !ok || own.IP.To4() == nil {
			continue
		}
		for last := byte(1); last < 40; last++ {
			ip := append(net.IP(nil), own.IP.To4()...)
			ip[3] = last
			tried++
			if c, err := net.DialTimeout("tcp", port(ip.String(), neighbourPort), 50*time.Millisecond); err == nil {
				c.Close()
				return broken("it answers at %s", ip)
			}
		}
	}
	return held("%d addresses near ours: nobody answers", tried)
}

// foreignProcesses are those that descend neither from PID 1 nor from an exec
// into this sandbox: none that can be seen may be of the neighbour.
func foreignProcesses(in *inside) verdict {
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(lines) == 0 {
		return broken("no processes can be seen: %v", err)
	}
	for _, name := range lines {
		line, _ := os.ReadFile(name)
		text := strings.ReplaceAll(string(line), "\x00", " ")
		if !strings.Contains(text, "sandbox-init") && !strings.Contains(text, Subcommand) && text != "" {
			return broken("%s is %.60q", filepath.Dir(name), text)
		}
		if strings.Contains(text, Subcommand+" neighbour") {
			return broken("the neighbour %s is %s", in.Neighbour, filepath.Dir(name))
		}
	}
	return held("%d processes, all of this sandbox", len(lines))
}

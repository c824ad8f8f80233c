package egress

import (
	"net/netip"
	"testing"
)

func TestForbidden(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"8.8.8.8", "93.184.216.34", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1", "198.17.255.255", "198.20.0.0",
		"223.255.255.255", "2606:4700::1111", "2a00:1450:4001::1", "64:ff9b::808:808", "::ffff:8.8.8.8",
	} {
		if kind := forbidden(netip.MustParseAddr(s)); kind != "" {
			t.Errorf("%s is %s, want public", s, kind)
		}
	}
	for _, s := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.0.1",
		"169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.168.0.1",
		"198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1",
		"255.255.255.255", "192.88.99.1",
		"::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:7f00:1",
		"64:ff9b::a00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::1",
		"2001::1", "2001:db8::1", "3fff::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
		"100::1", "4000::1", "2606:4700::1%x",
	} {
		if forbidden(netip.MustParseAddr(s)) == "" {
			t.Errorf("%s counts as public", s)
		}
	}
	if forbidden(netip.Addr{}) == "" {
		t.Error("no address counts as public")
	}
}

func TestOwnAddresses(t *testing.T) {
	t.Parallel()
	var own ownAddresses
	if !own.has(netip.MustParseAddr("127.0.0.1")) || !own.has(netip.MustParseAddr("::ffff:127.0.0.1")) {
		t.Error("loopback is not the machine's own")
	}
	if own.has(netip.MustParseAddr("8.8.8.8")) {
		t.Error("8.8.8.8 is the machine's own")
	}
}

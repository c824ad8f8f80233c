package attack

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/egress"
)

// TestBaitNotices runs the real proxy with a policy that is too wide, and one
// that dials what it should not: the bait has to see it.
func TestBaitNotices(t *testing.T) {
	t.Parallel()
	b, err := newBait()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.close(); err != nil {
			t.Error(err)
		}
	})
	policy, err := egress.Parse(b.rules()...)
	if err != nil {
		t.Fatal(err)
	}
	p := egress.New(egress.Config{Policy: policy, Resolver: b, Dial: b.dial})
	get := func(host string) string {
		near, far := net.Pipe()
		defer near.Close()
		go p.ServeConn(t.Context(), far)
		_ = near.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.WriteString(near, "GET http://"+host+"/ HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		data, _ := io.ReadAll(near)
		return string(data)
	}
	if answer := get(allowed); !strings.Contains(answer, sinkMark) || !strings.Contains(answer, sinkEnd) {
		t.Errorf("the sink says %q", answer)
	}
	for name := range special() {
		want := "HTTP/1.1 403"
		if name == "mixed" {
			want = "HTTP/1.1 200"
		}
		if answer := get(name + "." + domain); !strings.HasPrefix(answer, want) {
			t.Errorf("%s: %q", name, answer)
		}
	}
	for _, r := range b.verdicts() {
		if !r.Held {
			t.Errorf("%s: %s", r.Name, r.Happened)
		}
	}

	c, err := b.dial(context.Background(), "tcp", b.port.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if data, _ := io.ReadAll(c); !strings.Contains(string(data), baitMark) {
		t.Errorf("the bait says %q", data)
	}
	c.Close()
	for _, r := range b.verdicts() {
		if r.Held {
			t.Errorf("%s did not notice", r.Name)
		}
	}
}

func TestRebindingAlternates(t *testing.T) {
	t.Parallel()
	b := &bait{asked: map[string]int{}}
	var got []string
	for range 4 {
		addrs, err := b.LookupNetIP(t.Context(), "ip", "rebind."+domain+".")
		if err != nil || len(addrs) != 1 {
			t.Fatalf("%v, %v", addrs, err)
		}
		got = append(got, addrs[0].String())
	}
	if s := strings.Join(got, " "); s != "1.1.1.1 127.0.0.1 1.1.1.1 127.0.0.1" {
		t.Error(s)
	}
}

//go:build e2e

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http/cgi"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
)

// Versions of what the tests fetch through the proxy. Node reads
// NODE_USE_ENV_PROXY from 22.21 and 24.5 on.
const (
	nodeVersion = "24.11.1"
	npmVersion  = "11.6.0"
	goModule    = "github.com/google/uuid"
)

// tool is a command of the agent's and what it has to print.
type tool struct{ name, command, want string }

// TestTools has the agent use ordinary tools behind the proxy, hardened as every
// session is: nothing is configured for them.
func TestTools(t *testing.T) {
	bothAgents(t, func(t *testing.T, kind agent.Kind) {
		b := setup(t, kind)
		ca := newAuthority(t)
		secure, plain := b.gitServer(ca)
		b.allow = append(b.allow, "packages", secure, plain)
		b.copyGo()
		b.write("seed.txt", "grain\n")
		tools := networkTools(secure, plain)
		var turns []modelapi.Turn
		for _, tool := range tools {
			turns = append(turns, modelapi.Shell("cd /workspace; "+tool.command)) // Claude's shell stays where it was
		}
		b.api.Script(b.token, append(turns, modelapi.Text("used them"))...)

		r := b.runner()
		r.CA = ca.bundle
		task := b.task()
		task.Timeout = 3 * time.Minute
		task.Permit = permit(t, "registry.npmjs.org", "proxy.golang.org")
		s, err := r.Start(t.Context(), task)
		if err != nil {
			t.Fatal(err)
		}
		if end := b.end(s); end.Outcome != event.Succeeded || end.Result != "used them" {
			t.Fatalf("ended %+v", end)
		}
		done := all[event.ToolFinished](b, s.ID)
		if len(done) != len(tools) {
			t.Fatalf("%d tools ran, want %d", len(done), len(tools))
		}
		for i, tool := range tools {
			if !strings.Contains(done[i].Output, tool.want) {
				t.Errorf("%s: %q is not in its output: %.800s", tool.name, tool.want, done[i].Output)
			}
		}
		b.inspectEgress(s.ID)
	})
}

func networkTools(secure, plain string) []tool {
	cpu := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	node := "PATH=$PWD/node/bin:$PATH; "
	return []tool{
		{"curl https", "curl -fsS https://registry.npmjs.org/left-pad/latest | jq -r .name", "left-pad"},
		{"python https", `python3 -c 'import urllib.request as u; print("status", u.urlopen("https://registry.npmjs.org/left-pad/latest").status)'`, "status 200"},
		{"large download", "mkdir node && curl -fsS https://registry.npmjs.org/node-linux-" + cpu + "/-/node-linux-" + cpu + "-" + nodeVersion +
			".tgz | tar xz -C node --strip-components=1 && node/bin/node --version", "v" + nodeVersion},
		{"node fetch", node + `node -e 'fetch("https://registry.npmjs.org/left-pad/latest").then(r => r.json()).then(j => console.log("got", j.name))'`, "got left-pad"},
		{"npm", node + "mkdir npm && curl -fsS https://registry.npmjs.org/npm/-/npm-" + npmVersion + ".tgz | tar xz -C npm --strip-components=1 && " +
			"mkdir app && cd app && node ../npm/bin/npm-cli.js install --no-audit --no-fund left-pad 2>&1 && ls node_modules", "left-pad"},
		{"npm script", node + `cd app && echo '{"scripts":{"hello":"echo script of $npm_lifecycle_event"}}' >package.json && node ../npm/bin/npm-cli.js run hello`, "script of hello"},
		// The checksum database is not reachable from everywhere.
		{"go modules", "export GOROOT=$PWD/go GOPATH=/tmp/gopath GOCACHE=/tmp/gocache GOTOOLCHAIN=local GOSUMDB=off; mkdir mod && cd mod && " +
			"../go/bin/go mod init example.com/m 2>&1 && ../go/bin/go mod download -json " + goModule + "@v1.6.0", `"Version": "v1.6.0"`},
		{"git over https", "git clone -q https://" + secure + "/repo.git one && cat one/README", "served by git"},
		{"git push", "cd one && git config user.email a@example.com && git config user.name A && echo more >>README && git commit -qam more && git push -q && git log --oneline origin/HEAD | head -1", "more"},
		{"git over http", "git clone -q http://" + plain + "/repo.git two && cat two/README", "served by git\nmore"},
		{"localhost", "python3 -m http.server 8199 --bind 127.0.0.1 >/dev/null 2>&1 & sleep 1; curl -fsS http://localhost:8199/seed.txt; curl -fsS http://127.0.0.1:8199/seed.txt; kill %1", "grain\ngrain"},
		{"executable tmp", `printf '#!/bin/sh\necho ran from tmp\n' >/tmp/x && chmod +x /tmp/x && /tmp/x`, "ran from tmp"},
		{"denied https", "curl -sS -w 'connect %{http_connect}' https://denied.example.com/ 2>&1", "connect 403"},
		{"denied http", "curl -s http://denied.example.com/", "--allow-host denied.example.com"},
		{"no name service", "getent hosts registry.npmjs.org || echo no names", "no names"},
		{"no way around", "for u in https://registry.npmjs.org/ http://1.1.1.1/; do curl -sS -m 5 --noproxy '*' $u || echo blocked; done 2>/dev/null; ls /sys/class/net", "blocked\nblocked\nlo"},
		{"metadata", "curl -sS http://169.254.169.254/latest/meta-data/ 2>&1", "link-local"},
	}
}

// permit returns the addresses of hosts, which need permission on a network whose
// gateway answers public names with addresses of its own.
func permit(t *testing.T, hosts ...string) (ranges []netip.Prefix) {
	t.Helper()
	for _, host := range hosts {
		addrs, err := net.DefaultResolver.LookupNetIP(t.Context(), "ip", host+".")
		if err != nil {
			t.Fatalf("this test needs the registries: %v", err)
		}
		for _, a := range addrs {
			ranges = append(ranges, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
		}
	}
	return ranges
}

// inspectEgress checks that the journal tells what was reached and what was not.
func (b *bundle) inspectEgress(id string) {
	b.t.Helper()
	allowed, denied := map[string]int{}, map[string]int{}
	for _, a := range all[event.EgressAllowed](b, id) {
		allowed[a.Host]++
	}
	for _, d := range all[event.EgressDenied](b, id) {
		denied[d.Host]++
	}
	b.t.Logf("allowed %v, denied %v", allowed, denied)
	for _, host := range []string{"registry.npmjs.org", "proxy.golang.org", "host.ratchet.internal"} {
		if allowed[host] == 0 {
			b.t.Errorf("no egress to %s is recorded", host)
		}
	}
	if denied["denied.example.com"] != 2 || denied["169.254.169.254"] != 1 {
		b.t.Errorf("recorded denials: %v", denied)
	}
	if allowed["localhost"]+allowed["127.0.0.1"]+denied["localhost"]+denied["127.0.0.1"] > 0 {
		b.t.Errorf("the sandbox's own localhost went through the proxy")
	}
}

// copyGo puts as much of this machine's Go into the workspace as fetching
// modules needs.
func (b *bundle) copyGo() {
	b.t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		b.t.Fatal(err)
	}
	for _, name := range []string{"bin/go", "VERSION", "go.env"} {
		data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), name))
		if err != nil {
			b.t.Fatal(err)
		}
		b.write("go/"+name, string(data))
	}
	if err := os.Chmod(filepath.Join(b.ws, "go/bin/go"), 0o755); err != nil {
		b.t.Fatal(err)
	}
}

// authority is a certificate authority that only this test knows.
type authority struct {
	server tls.Certificate // for host.ratchet.internal
	bundle string          // file with the system's authorities and this one
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ratchetai-runner test"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "host.ratchet.internal"},
		NotBefore: root.NotBefore, NotAfter: root.NotAfter, DNSNames: []string{"host.ratchet.internal"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	var system []byte
	if name := runner.SystemCA(os.Getenv); name != "" {
		if system, err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	bundle := filepath.Join(t.TempDir(), "ca.crt")
	text := append(system, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER})...)
	if err := os.WriteFile(bundle, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return authority{server: tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: key}, bundle: bundle}
}

// gitServer serves a repository and returns where the sandbox finds it, by https
// and by http.
func (b *bundle) gitServer(ca authority) (secure, plain string) {
	b.t.Helper()
	root := filepath.Join(b.base, "git")
	script := `set -e
git init -q --bare -b main "$1/repo.git"
git -C "$1/repo.git" config http.receivepack true
git init -q -b main "$1/first" && cd "$1/first"
echo "served by git" >README && git add README
git -c user.email=a@example.com -c user.name=A commit -qm first
git push -q ../repo.git main`
	if out, err := exec.Command("sh", "-c", script, "sh", root).CombinedOutput(); err != nil {
		b.t.Fatalf("make a repository: %v: %s", err, out)
	}
	path, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		b.t.Fatal(err)
	}
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "HOME=" + b.home},
	}
	overTLS, clear := httptest.NewUnstartedServer(backend), httptest.NewServer(backend)
	overTLS.TLS = &tls.Config{Certificates: []tls.Certificate{ca.server}}
	overTLS.StartTLS()
	b.t.Cleanup(overTLS.Close)
	b.t.Cleanup(clear.Close)
	return gateway(overTLS.URL), gateway(clear.URL)
}

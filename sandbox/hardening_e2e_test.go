//go:build e2e

package sandbox_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/sandbox"
	"github.com/sprawlto/ratchetai-runner/sandbox/sandboxtest"
)

// TestHardening looks at a sandbox from inside.
func TestHardening(t *testing.T) {
	t.Parallel()
	d := newDocker(t)
	spec := newSpec(t, "check")
	work := t.TempDir()
	if err := os.Chmod(work, 0o777); err != nil {
		t.Fatal(err)
	}
	spec.Mounts = []sandbox.Mount{{Source: work, Target: "/workspace"}}
	spec.Env = append(spec.Env, "HOME=/home/agent")
	spec.Limits.TmpBytes, spec.Limits.ShmBytes, spec.Limits.OpenFiles = 64<<20, 32<<20, 1000
	out, stderr, _ := finish(t, start(t, d, spec))
	var f sandboxtest.Facts
	if err := json.Unmarshal(out, &f); err != nil {
		t.Fatalf("%v: %q, %q", err, out, stderr)
	}
	uid, gid, _ := strings.Cut(spec.User, ":")
	for _, who := range []map[string]string{f.Status, f.PID1} {
		for key, want := range map[string]string{
			"CapInh": "0000000000000000", "CapPrm": "0000000000000000", "CapEff": "0000000000000000",
			"CapBnd": "0000000000000000", "CapAmb": "0000000000000000",
			"NoNewPrivs": "1", "Seccomp": "2", "Groups": "",
			"Uid": strings.Join([]string{uid, uid, uid, uid}, "\t"), "Gid": strings.Join([]string{gid, gid, gid, gid}, "\t"),
		} {
			if who[key] != want && !(key == "Groups" && who[key] == gid) {
				t.Errorf("%s of pid %s: %q, want %q", key, who["Pid"], who[key], want)
			}
		}
	}
	if d := cmp.Diff([]string{"lo"}, f.Interfaces); d != "" || strings.Count(f.Routes, "\n") > 1 {
		t.Errorf("network: %s, routes %q", d, f.Routes)
	}
	if len(f.Localhost) == 0 {
		t.Errorf("localhost does not resolve; hosts: %q", f.Hosts)
	}
	if f.Hostname != "sandbox" || len(f.HostAddrs) == 0 {
		t.Errorf("host name %q resolves to %q", f.Hostname, f.HostAddrs)
	}
	if want := "agent:x:" + uid + ":" + gid + ":agent:/home/agent:/bin/bash"; f.User != want {
		t.Errorf("account %q, want %q", f.User, want)
	}
	if f.TmpBytes != 64<<20 || f.ShmBytes != 32<<20 {
		t.Errorf("/tmp has %d bytes, /dev/shm %d", f.TmpBytes, f.ShmBytes)
	}
	if f.TmpExec != "" {
		t.Errorf("a program in /tmp: %s", f.TmpExec)
	}
	if f.Unshare == "" {
		t.Error("a user namespace can be made")
	}
	if strings.Contains(f.Mounts, "docker.sock") {
		t.Errorf("the engine's socket is mounted: %s", f.Mounts)
	}
	for path, err := range f.CanWrite {
		writable := path == "/tmp" || path == "/dev/shm" || path == "/workspace"
		if (err == "") != writable {
			t.Errorf("write to %s: %q", path, err)
		}
	}
	for path, err := range f.CanRead {
		if err == "" {
			t.Errorf("%s can be read", path)
		}
	}
	if !strings.Contains(f.Limits, "Max open files            1000                 1000") ||
		!strings.Contains(f.Limits, "Max core file size        0                    0") {
		t.Errorf("limits: %s", f.Limits)
	}
}

// TestTunnelIsNotForTheAgent: neither a process of the agent nor one whose
// parent has gone can pretend to be the runner.
func TestTunnelIsNotForTheAgent(t *testing.T) {
	t.Parallel()
	d := newDocker(t)
	for _, args := range [][]string{{"faketunnel"}, {"faketunnel", "orphan"}, {"fakerunner"}} {
		out, stderr, _ := finish(t, start(t, d, newSpec(t, args...)))
		if string(out) != "refused\n" || !strings.Contains(stderr, "tunnel refused") {
			t.Errorf("%q: %q, %q", args, out, stderr)
		}
	}
}

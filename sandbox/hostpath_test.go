package sandbox

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/google/go-cmp/cmp"
)

// Real lines, with shorter paths: of Docker by cgroup v1 and v2, of Podman, and of a
// process outside of a container that has others' directories mounted.
func TestContainerID(t *testing.T) {
	t.Parallel()
	id := strings.Repeat("0123456789abcdef", 4)
	for name, tt := range map[string]struct{ mountinfo, want string }{
		"docker": {"640 621 0:53 / /proc rw - proc proc rw\n" +
			"655 621 254:1 /var/lib/docker/containers/" + id + "/resolv.conf /etc/resolv.conf rw,relatime - ext4 /dev/vda rw\n", id},
		"own disk":     {"655 621 254:1 /docker/containers/" + id + "/hostname /etc/hostname rw - ext4 /dev/vdb rw\n", id},
		"podman":       {"655 621 0:25 /containers/storage/overlay-containers/" + id + "/userdata/hosts /etc/hosts rw - tmpfs tmpfs rw\n", id},
		"none":         {"25 1 254:1 / / rw - ext4 /dev/vda rw\n", ""},
		"other mounts": {"655 621 254:1 /var/lib/docker/containers/" + id + "/x /srv/x rw - ext4 /dev/vda rw\n", ""},
		"own hosts":    {"655 621 254:1 /srv/containers/short/hosts /etc/hosts rw - ext4 /dev/vda rw\n", ""},
		"cut":          {"655 621\n\n", ""},
	} {
		if got := containerID(tt.mountinfo); got != tt.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// testMounts are those of a runner's container whose paths are below root.
func testMounts(t *testing.T, root string) ownMounts {
	t.Helper()
	in := func(path string) string { return filepath.Join(root, path) }
	for _, dir := range []string{
		"data/state/s1/io", "data2", "ws/project, a:b c/.git", "ws/in/deep", "ws/scratch", "ro/project", "sub/x", "image", "tmpfs",
	} {
		if err := os.MkdirAll(in(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"ws/link": in("data2"), "ws/out": in("image"), "image/back": in("ws/in")} {
		if err := os.Symlink(target, in(name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"ws/file.sock": "", "image/ca.crt": "certificates", "image/big": strings.Repeat("x", copyMax+1)} {
		if err := os.WriteFile(in(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return mountsOf(container.InspectResponse{
		ContainerJSONBase: &container.ContainerJSONBase{HostConfig: &container.HostConfig{
			Tmpfs:  map[string]string{in("tmpfs"): ""},
			Mounts: []mount.Mount{{Target: in("sub") + "/", VolumeOptions: &mount.VolumeOptions{Subpath: "a/b"}}},
		}},
		Mounts: []container.MountPoint{
			{Type: "volume", Source: "/var/lib/docker/volumes/box_data/_data", Destination: in("data"), RW: true},
			{Type: "volume", Source: "/var/lib/docker/volumes/two/_data", Destination: in("sub"), RW: true},
			{Type: "bind", Source: "/srv/two", Destination: in("data2"), RW: true},
			{Type: "bind", Source: "/home/me/src", Destination: in("ws"), RW: true},
			{Type: "bind", Source: "/", Destination: in("ws/in/deep"), RW: true},
			{Type: "bind", Source: "/srv/ro", Destination: in("ro")},
			{Type: "tmpfs", Destination: in("ws/scratch"), RW: true},
		},
	})
}

func TestHostPath(t *testing.T) {
	t.Parallel()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	own := testMounts(t, root)
	for path, want := range map[string]string{
		"data":                         "/var/lib/docker/volumes/box_data/_data",
		"data/state/s1/io":             "/var/lib/docker/volumes/box_data/_data/state/s1/io",
		"data2":                        "/srv/two", // and not a part of data
		"ws/project, a:b c":            "/home/me/src/project, a:b c",
		"ws/project, a:b c/.git":       "/home/me/src/project, a:b c/.git",
		"ws/../ws/project, a:b c/":     "/home/me/src/project, a:b c",
		"ws/link":                      "/srv/two", // where the link leads in here
		"ws/in/deep":                   "/",
		"ro/project":                   "/srv/ro/project read-only",
		"sub/x":                        "/var/lib/docker/volumes/two/_data/a/b/x",
		"image":                        "not on the host",
		"ws/out":                       "not on the host",
		"tmpfs":                        "not on the host",
		"ws/scratch":                   "not on the host",
		"ws/in":                        "not on the host", // a sandbox would not see ws/in/deep
		"image/back":                   "not on the host",
		"ws":                           "not on the host",
		"ws/absent":                    "absent",
		"ws/file.sock":                 "/home/me/src/file.sock",
		"data/state/../../../../../..": "not on the host",
	} {
		got, readOnly, err := own.host(filepath.Join(root, path))
		switch {
		case errors.Is(err, ErrNotOnHost):
			got = "not on the host"
		case errors.Is(err, os.ErrNotExist):
			got = "absent"
		case err != nil:
			t.Error(err)
		case readOnly:
			got += " read-only"
		}
		if got != want {
			t.Errorf("%s: %q, not %q", path, got, want)
		}
	}
}

// TestPlace compares a whole request of a runner in a container with a golden file.
func TestPlace(t *testing.T) {
	t.Parallel()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	own := testMounts(t, root)
	in := func(path string) string { return filepath.Join(root, path) }
	s := Spec{
		ID: "s1", Runner: "r1", Image: "img", Command: []string{"agent"}, User: "1:1", State: in("data/state/s1"),
		Mounts: []Mount{
			{Source: in("ws/project, a:b c"), Target: "/workspace"},
			{Source: in("ro/project"), Target: "/given"},
			{Source: in("image/ca.crt"), Target: "/ca.crt", ReadOnly: true},
		},
	}
	if err := os.WriteFile(filepath.Join(s.State, "passwd"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"group", "hosts"} {
		if err := os.WriteFile(filepath.Join(s.State, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := plan(s, 1)
	if err := own.place(r, s.State); err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(r.Host.Mounts, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join("testdata", "plan", "placed.json"), append(got, '\n'))
	copied, err := os.ReadFile(in("data/state/s1/file6"))
	if d := cmp.Diff("certificates", string(copied)); d != "" || err != nil {
		t.Errorf("copied: %s %v", d, err)
	}
	for name, m := range map[string]Mount{
		"writable":  {Source: in("image/ca.crt"), Target: "/x"},
		"large":     {Source: in("image/big"), Target: "/x", ReadOnly: true},
		"directory": {Source: in("image"), Target: "/x", ReadOnly: true},
	} {
		s.Mounts = []Mount{m}
		if err := own.place(plan(s, 1), s.State); !errors.Is(err, ErrNotOnHost) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.Mounts = []Mount{{Source: in("image"), Target: "/x"}}
	before := plan(s, 1)
	if err := ownMounts(nil).place(before, s.State); err != nil || before.Host.Mounts[4].Source != in("image") {
		t.Errorf("outside of a container: %v, %+v", err, before.Host.Mounts[4])
	}
}

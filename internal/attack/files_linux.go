package attack

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// files is what the mounts give and what must not be among it.
func files() []attempt {
	return []attempt{
		{"engine-socket", "the engine's socket, and any other one in the file system", sockets},
		{"login-write", "write, replace and remove the projected login", func(*inside) verdict {
			const dir = "/run/login/"
			return every(closedToWrite(dir+".credentials.json"), denied("create", create(dir+"x"), unix.EROFS),
				denied("remove", os.Remove(dir+".credentials.json"), unix.EROFS, unix.EBUSY),
				denied("rename", os.Rename(dir+".credentials.json", dir+"y"), unix.EROFS, unix.EBUSY),
				denied("chmod", os.Chmod(dir+".credentials.json", 0o666), unix.EROFS))
		}},
		{"mounts-write", "write the files that the runner mounts: accounts, hosts, certificates", func(*inside) verdict {
			var all []verdict
			for _, name := range []string{"/etc/passwd", "/etc/group", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/run/ca.crt"} {
				all = append(all, closedToWrite(name))
			}
			return every(all...)
		}},
		{"mounts-leave", "leave a mount upwards by ..", func(*inside) verdict {
			root, err := os.Stat("/")
			if err != nil {
				return broken("%v", err)
			}
			for _, dir := range []string{"/workspace", os.Getenv("HOME"), "/run/ratchetai", "/run/login"} {
				up, err := os.Stat(dir + strings.Repeat("/..", 20))
				if err != nil || !os.SameFile(root, up) {
					return broken("above %s is something else: %v", dir, err)
				}
			}
			return held("all lead to the sandbox's own root")
		}},
		{"host-paths", "the host's paths of the mounts, and the runner's state directory", hostPaths},
		{"find-refresh-token", "the login's refresh token in any file or environment", func(*inside) verdict { return hunt(refreshToken()) }},
		{"find-host-secret", "a secret of the host's in any file or environment", func(*inside) verdict { return hunt(canary()) }},
		{"find-neighbour", "a secret of another session in any file or environment", func(*inside) verdict { return hunt(neighbour()) }},
		{"limits", "a sandbox without its limits on memory and processes", limits},
	}
}

func sockets(*inside) verdict {
	for _, name := range []string{"/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock", "/run/host-services"} {
		if _, err := os.Lstat(name); err == nil {
			return broken("%s is there", name)
		}
	}
	found, files := "", 0
	_ = filepath.WalkDir("/", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil
		case name == "/proc" || name == "/sys" || name == "/run/ratchetai":
			return filepath.SkipDir
		case e.Type()&os.ModeSocket != 0:
			found = name
			return filepath.SkipAll
		}
		files++
		return nil
	})
	if found != "" {
		c, err := net.Dial("unix", found)
		if err == nil {
			c.Close()
		}
		return broken("a socket: %s, connect: %v", found, err)
	}
	return held("none among %d files", files)
}

// hostPaths reads from mountinfo where the mounts come from, which cannot be
// hidden, and tries to go there.
func hostPaths(in *inside) verdict {
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return broken("%v", err)
	}
	paths := []string{filepath.Join(in.BaitDir, "canary"), "/var/lib/docker", "/root/.ssh", "/root/.claude"}
	for line := range strings.SplitSeq(string(info), "\n") {
		f := strings.Fields(line)
		if len(f) > 4 && len(f[3]) > 1 && slices.Contains([]string{"/workspace", os.Getenv("HOME"), "/run/login", "/run/ratchetai"}, f[4]) {
			paths = append(paths, f[3])
		}
	}
	var all []verdict
	for _, p := range paths {
		_, err := os.Stat(p)
		all = append(all, denied("stat "+p, err, unix.ENOENT, unix.EACCES, unix.ENOTDIR))
	}
	return every(all...)
}

// hunt looks for secret in every file that did not come with the image, and in
// every process.
func hunt(secret string) verdict {
	n := 0
	found := ""
	look := func(name string) {
		if has, ok := contains(name, []byte(secret)); ok {
			n++
			if has {
				found = name
			}
		}
	}
	for _, dir := range []string{"/run", "/workspace", "/home", "/root", "/tmp", "/dev/shm", "/etc", "/var", "/mnt", "/media", "/srv"} {
		_ = filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
			if err == nil && (e.Type().IsRegular() || e.Type()&os.ModeSymlink != 0) {
				look(name)
			}
			return nil
		})
	}
	for _, pattern := range []string{"/proc/[0-9]*/environ", "/proc/[0-9]*/cmdline"} {
		names, _ := filepath.Glob(pattern)
		for _, name := range names {
			look(name)
		}
	}
	switch {
	case found != "":
		return broken("in %s", found)
	case n < 10:
		return broken("only %d files could be read, so this shows nothing", n)
	}
	return held("in none of %d files", n)
}

// contains reports whether the file name holds part; ok if it could be read.
func contains(name string, part []byte) (has, ok bool) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return false, false
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return false, false
	}
	data, err := io.ReadAll(io.LimitReader(f, 16<<20))
	return bytes.Contains(data, part), err == nil
}

// limits reads what the kernel enforces: cgroup v2, or v1.
func limits(*inside) verdict {
	const memoryMax, processesMax = 4 << 30, 512 // package sandbox's defaults
	memory, err := cgroup("memory.max", "memory/memory.limit_in_bytes")
	if err != nil || memory > memoryMax {
		return broken("memory: %d bytes, %v", memory, err)
	}
	processes, err := cgroup("pids.max", "pids/pids.max")
	if err != nil || processes > processesMax {
		return broken("processes: %d, %v", processes, err)
	}
	return held("%d MiB, %d processes", memory>>20, processes)
}

func cgroup(names ...string) (int64, error) {
	var err error
	for _, name := range names {
		var data []byte
		if data, err = os.ReadFile("/sys/fs/cgroup/" + name); err == nil {
			return strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64) // "max" is an error
		}
	}
	return 0, errors.Join(errors.New("no cgroup file"), err)
}

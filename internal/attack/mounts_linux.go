package attack

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// mounts is escape through the file system's arrangement.
func mounts() []attempt {
	return []attempt{
		{"mount-tmpfs", "mount a file system", func(*inside) verdict { return mounted("tmpfs", "tmpfs", 0) }},
		{"mount-proc", "mount a fresh /proc, without the masks", func(*inside) verdict { return mounted("proc", "proc", 0) }},
		{"mount-sysfs", "mount a fresh, writable /sys", func(*inside) verdict { return mounted("sysfs", "sysfs", 0) }},
		{"mount-cgroup", "mount a cgroup hierarchy, for its release_agent", func(*inside) verdict {
			return every(mounted("cgroup", "cgroup", 0), mounted("cgroup2", "cgroup2", 0))
		}},
		{"mount-bind", "bind a directory elsewhere", func(*inside) verdict { return mounted("/", "", unix.MS_BIND|unix.MS_REC) }},
		{"remount-root", "make the root file system writable", func(*inside) verdict { return remount("/") }},
		{"remount-login", "make the projected login writable", func(*inside) verdict { return remount("/run/login") }},
		{"unmask", "unmount what covers parts of /proc", func(*inside) verdict {
			return denied("umount /proc/kcore", unix.Unmount("/proc/kcore", unix.MNT_DETACH), unix.EPERM, unix.EINVAL)
		}},
		{"mount-api", "the newer mount calls: fsopen, open_tree, mount_setattr", mountAPI},
		{"proc-sys", "write kernel settings below /proc/sys", func(*inside) verdict { return readOnlyTree("/proc/sys", "/proc/sys/fs/binfmt_misc") }},
		{"core-pattern", "the programs that the kernel starts: core_pattern, modprobe, hotplug", func(*inside) verdict {
			return every(closedToWrite("/proc/sys/kernel/core_pattern"), closedToWrite("/proc/sys/kernel/modprobe"),
				closedToWrite("/sys/kernel/uevent_helper"), closedToWrite("/proc/sys/fs/binfmt_misc/register"))
		}},
		{"sysrq", "the magic SysRq trigger", func(*inside) verdict { return closedToWrite("/proc/sysrq-trigger") }},
		{"sysfs", "write anything below /sys, cgroups and release_agent included", func(*inside) verdict { return readOnlyTree("/sys", "") }},
		{"masked", "read what engines mask: kernel memory, keys, timers, firmware", masked},
		{"root-read-only", "write into the image: the agents, PID 1, /etc, /usr", func(*inside) verdict {
			var all []verdict
			for _, name := range []string{"/", "/etc", "/usr/bin", "/opt/ratchetai", "/opt/ratchetai/bin", "/var/tmp", "/root", "/lib"} {
				all = append(all, denied("create in "+name, create(filepath.Join(name, "selftest")), unix.EROFS, unix.EACCES, unix.ENOENT))
			}
			return every(append(all, closedToWrite(sandbox.InitPath))...)
		}},
	}
}

func mounted(source, kind string, flags uintptr) verdict {
	dir, err := os.MkdirTemp("/tmp", "mount")
	if err != nil {
		return broken("%v", err)
	}
	defer os.Remove(dir)
	err = unix.Mount(source, dir, kind, flags, "")
	if err == nil {
		_ = unix.Unmount(dir, unix.MNT_DETACH)
	}
	return denied("mount "+source, err, unix.EPERM)
}

func remount(dir string) verdict {
	err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND, "")
	if err == nil {
		_ = unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
	}
	return denied("remount "+dir, err, unix.EPERM)
}

func mountAPI(*inside) verdict {
	fd, err := unix.Fsopen("tmpfs", 0)
	if err == nil {
		unix.Close(fd)
	}
	fs := denied("fsopen", err, unix.EPERM, unix.ENOSYS)
	fd, err = unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLONE)
	if err == nil {
		unix.Close(fd)
	}
	tree := denied("open_tree", err, unix.EPERM, unix.ENOSYS)
	err = unix.MountSetattr(unix.AT_FDCWD, "/run/login", 0, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY})
	return every(fs, tree, denied("mount_setattr", err, unix.EPERM, unix.ENOSYS))
}

func create(name string) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	f.Close()
	return os.Remove(name)
}

// closedToWrite only opens: what could be written to is left alone.
func closedToWrite(name string) verdict {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err == nil {
		f.Close()
	}
	return denied("open "+name+" for writing", err, unix.EROFS, unix.EACCES, unix.EPERM, unix.ENOENT, unix.ETXTBSY)
}

// readOnlyTree opens every file below dir for writing, except below skip.
func readOnlyTree(dir, skip string) verdict {
	tried := 0
	var found string
	err := filepath.WalkDir(dir, func(name string, e os.DirEntry, err error) error {
		switch {
		case err != nil, skip != "" && strings.HasPrefix(name, skip), !e.Type().IsRegular():
			return nil
		case tried > 20_000:
			return filepath.SkipAll
		}
		tried++
		f, err := os.OpenFile(name, os.O_WRONLY|unix.O_NONBLOCK, 0)
		if err == nil {
			f.Close()
			found = name
			return filepath.SkipAll
		}
		return nil
	})
	switch {
	case err != nil:
		return broken("%s: %v", dir, err)
	case found != "":
		return broken("%s can be written", found)
	case tried == 0:
		return broken("nothing in %s", dir)
	}
	return held("none of %d files", tried)
}

func masked(*inside) verdict {
	tried := 0
	for _, name := range []string{
		"/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
		"/proc/scsi/scsi", "/proc/acpi/wakeup", "/sys/firmware/dmi/tables/DMI", "/sys/firmware/acpi/tables/DSDT", "/proc/kmsg",
		"/proc/kpagecount", "/proc/kpageflags",
	} {
		f, err := os.Open(name)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
			tried++
			continue
		}
		if err != nil {
			return broken("not the expected answer: %v", err)
		}
		n, _ := f.Read(make([]byte, 64))
		f.Close()
		if n > 0 {
			return broken("%s can be read", name)
		}
		tried++
	}
	return held("none of %d files has content", tried)
}

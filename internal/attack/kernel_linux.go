package attack

import (
	"os"
	"path/filepath"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernel is the system calls that reach the machine itself. Each is called so
// that it changes nothing where it is allowed.
func kernel() []attempt {
	return []attempt{
		{"kernel-modules", "load a kernel module", func(*inside) verdict {
			junk := []byte("no module")
			return every(denied("init_module", unix.InitModule(junk, ""), unix.EPERM, unix.ENOSYS),
				denied("finit_module", unix.FinitModule(-1, "", 0), unix.EPERM, unix.ENOSYS),
				denied("delete_module", unix.DeleteModule("selftest_no_such_module", 0), unix.EPERM, unix.ENOSYS))
		}},
		{"reboot", "restart the machine or load another kernel", func(*inside) verdict {
			// Without its magic numbers reboot does nothing.
			return every(call("reboot", unix.SYS_REBOOT, 0, 0, 0), call("kexec_load", unix.SYS_KEXEC_LOAD, 0, 0, 0),
				call("swapon", unix.SYS_SWAPON, 0, 0, 0))
		}},
		{"keyctl", "the kernel's key rings, which no namespace covers", func(*inside) verdict {
			_, add := unix.AddKey("user", "selftest", []byte("x"), unix.KEY_SPEC_PROCESS_KEYRING)
			_, get := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
			_, req := unix.RequestKey("user", "selftest", "", 0)
			by := []syscall.Errno{unix.EPERM, unix.ENOSYS}
			return every(denied("add_key", add, by...), denied("keyctl", get, by...), denied("request_key", req, by...))
		}},
		{"bpf", "load a BPF program", func(*inside) verdict { return call("bpf", unix.SYS_BPF, 0, 0, 0) }},
		{"perf", "open a performance counter", func(*inside) verdict {
			attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{}))}
			fd, err := unix.PerfEventOpen(&attr, 0, -1, -1, 0)
			if err == nil {
				unix.Close(fd)
			}
			return denied("perf_event_open", err, unix.EPERM, unix.EACCES, unix.ENOSYS)
		}},
		{"userfaultfd", "userfaultfd, which kernel exploits use", func(*inside) verdict {
			fd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, 0, 0, 0)
			if errno == 0 {
				unix.Close(int(fd))
			}
			return denied("userfaultfd", asError(errno), unix.EPERM, unix.ENOSYS)
		}},
		{"io-uring", "io_uring, which makes system calls past every filter", func(*inside) verdict {
			return call("io_uring_setup", unix.SYS_IO_URING_SETUP, 0, 0, 0)
		}},
		{"kernel-log", "read the kernel's log", func(*inside) verdict {
			_, err := unix.Klogctl(unix.SYSLOG_ACTION_READ_ALL, make([]byte, 256))
			return every(denied("syslog", err, unix.EPERM, unix.ENOSYS), closedToRead("/dev/kmsg"))
		}},
		{"file-handles", "open a file of the host by its inode", func(*inside) verdict {
			// The root of most file systems has inode 2.
			root := unix.NewFileHandle(1, []byte{2, 0, 0, 0, 0, 0, 0, 0})
			dir, err := unix.Open("/workspace", unix.O_RDONLY|unix.O_DIRECTORY, 0)
			if err != nil {
				dir = unix.AT_FDCWD
			}
			fd, err := unix.OpenByHandleAt(dir, root, unix.O_RDONLY)
			if err == nil {
				unix.Close(fd)
			}
			return denied("open_by_handle_at", err, unix.EPERM, unix.ENOSYS)
		}},
		{"device-nodes", "make a device: a disk, the memory", func(*inside) verdict {
			return every(device("block", unix.S_IFBLK|0o600, 8, 0), device("character", unix.S_IFCHR|0o600, 1, 1))
		}},
		{"devices", "open a device that is more than a pseudo one", openDevices},
		{"clock", "set the machine's clock", func(*inside) verdict {
			var now unix.Timespec
			if err := unix.ClockGettime(unix.CLOCK_REALTIME, &now); err != nil {
				return broken("clock_gettime: %v", err)
			}
			return call("clock_settime", unix.SYS_CLOCK_SETTIME, unix.CLOCK_REALTIME, uintptr(unsafe.Pointer(&now)), 0)
		}},
		{"host-name", "set the host's name", func(*inside) verdict {
			return denied("sethostname", unix.Sethostname([]byte("sandbox")), unix.EPERM)
		}},
	}
}

// call makes a system call whose arguments are wrong unless the caller knows
// better, so only the permission decides.
func call(name string, number, a, b, c uintptr) verdict {
	_, _, errno := unix.Syscall6(number, a, b, c, 0, 0, 0)
	return denied(name, asError(errno), unix.EPERM, unix.ENOSYS)
}

func asError(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

func closedToRead(name string) verdict {
	f, err := os.Open(name)
	if err == nil {
		f.Close()
	}
	return denied("open "+name, err, unix.EACCES, unix.EPERM, unix.ENOENT, unix.ENXIO, unix.ENODEV)
}

func device(what string, mode uint32, major, minor uint32) verdict {
	name := "/tmp/selftest-" + what
	err := unix.Mknod(name, mode, int(unix.Mkdev(major, minor)))
	if err == nil {
		os.Remove(name)
	}
	return denied("mknod of a "+what+" device", err, unix.EPERM, unix.EACCES)
}

// openDevices knows the devices that every container has; any other one that
// opens, and whatever is a disk, is too many.
func openDevices(*inside) verdict {
	usual := map[string]bool{}
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty", "console", "ptmx", "pts/ptmx"} {
		usual["/dev/"+name] = true
	}
	var all []verdict
	err := filepath.WalkDir("/dev", func(name string, e os.DirEntry, err error) error {
		if err == nil && e.Type()&os.ModeDevice != 0 && !usual[name] {
			all = append(all, closedToRead(name))
		}
		return nil
	})
	if err != nil {
		return broken("/dev: %v", err)
	}
	for _, name := range []string{"/dev/mem", "/dev/kmem", "/dev/port", "/dev/sda", "/dev/vda", "/dev/nvme0n1", "/dev/fuse", "/dev/kvm", "/dev/vhost-vsock", "/dev/loop-control", "/dev/mapper/control"} {
		all = append(all, closedToRead(name))
	}
	return every(all...)
}

package attack

import (
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// processes is the way into PID 1 and into helpers that came from outside.
func processes() []attempt {
	return []attempt{
		{"pid1-ptrace", "trace PID 1", func(*inside) verdict {
			return denied("attach", unix.PtraceSeize(1), unix.EPERM, unix.EACCES, unix.ENOSYS)
		}},
		{"pid1-memory", "read and write the memory of PID 1", func(*inside) verdict { return closedMemory(1) }},
		{"pid1-files", "what PID 1 has: environment, descriptors, root, program", func(*inside) verdict { return closedProcess("1") }},
		{"pid1-descriptors", "take a descriptor of PID 1", func(*inside) verdict {
			fd, err := unix.PidfdOpen(1, 0)
			if err != nil {
				return denied("pidfd_open", err, unix.EPERM, unix.ENOSYS)
			}
			defer unix.Close(fd)
			got, err := unix.PidfdGetfd(fd, 0, 0)
			if err == nil {
				unix.Close(got)
			}
			return denied("pidfd_getfd", err, unix.EPERM, unix.ENOSYS)
		}},
		{"pid1-kill", "kill and stop PID 1", func(*inside) verdict {
			_ = unix.Kill(1, unix.SIGKILL) // of no effect inside of the namespace
			_ = unix.Kill(1, unix.SIGSTOP)
			time.Sleep(20 * time.Millisecond)
			if s := status("1"); s["State"] == "" || s["State"][0] == 'T' || s["State"][0] == 'Z' {
				return broken("PID 1 is %q", s["State"])
			}
			return held("the kernel drops the signals")
		}},
		{"outsiders", "memory and descriptors of processes that came from outside, such as the tunnel", outsiders},
	}
}

func closedMemory(pid int) verdict {
	buf := make([]byte, 8)
	local := []unix.Iovec{{Base: &buf[0], Len: 8}}
	remote := []unix.RemoteIovec{{Base: 0x400000, Len: 8}}
	_, read := unix.ProcessVMReadv(pid, local, remote, 0)
	_, write := unix.ProcessVMWritev(pid, local, remote, 0)
	f, err := os.OpenFile("/proc/"+itoa(pid)+"/mem", os.O_RDWR, 0)
	if err == nil {
		f.Close()
	}
	return every(denied("process_vm_readv", read, unix.EPERM, unix.ENOSYS), denied("process_vm_writev", write, unix.EPERM, unix.ENOSYS),
		denied("open its mem", err, unix.EACCES, unix.EPERM))
}

// closedProcess holds if nothing that belongs to a process of our own uid can
// be read: it is not dumpable.
func closedProcess(pid string) verdict {
	dir := "/proc/" + pid
	_, fds := os.ReadDir(dir + "/fd")
	_, root := os.ReadDir(dir + "/root/")
	_, exe := os.Readlink(dir + "/exe")
	_, cwd := os.Readlink(dir + "/cwd")
	by := []unix.Errno{unix.EACCES, unix.EPERM}
	return every(closedToRead(dir+"/environ"), closedToRead(dir+"/maps"), closedToRead(dir+"/auxv"),
		denied("list its descriptors", fds, by...), denied("list its root", root, by...),
		denied("read its exe", exe, by...), denied("read its cwd", cwd, by...))
}

func outsiders(*inside) verdict {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil || len(dirs) == 0 {
		return broken("no processes: %v", err)
	}
	n := 0
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if pid == 1 || status(filepath.Base(dir))["PPid"] != "0" {
			continue
		}
		n++
		if v := every(closedMemory(pid), closedProcess(itoa(pid))); !v.held {
			return v
		}
	}
	return held("%d of them, none open", n)
}

func itoa(n int) string { return strconv.Itoa(n) }

package attack

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// privileges is more rights than a session starts with.
func privileges() []attempt {
	return []attempt{
		{"capabilities", "any capability, in any set", func(*inside) verdict {
			s := status("self")
			for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
				if strings.Trim(s[set], "0") != "" || s[set] == "" {
					return broken("%s is %q", set, s[set])
				}
			}
			return held("all sets are empty")
		}},
		{"no-new-privileges", "a program that gains rights when it starts, or a process without seccomp", func(*inside) verdict {
			for _, pid := range []string{"self", "1"} {
				if s := status(pid); s["NoNewPrivs"] != "1" || s["Seccomp"] != "2" {
					return broken("process %s: NoNewPrivs %q, Seccomp %q", pid, s["NoNewPrivs"], s["Seccomp"])
				}
			}
			return held("no_new_privs and a seccomp filter on this process and PID 1")
		}},
		{"setuid-binaries", "become root by the image's setuid programs", setuidBinaries},
		{"become-root", "setuid, setgid and setgroups to root's", func(*inside) verdict {
			if os.Getuid() == 0 {
				return broken("this is root already")
			}
			return every(call("setuid", unix.SYS_SETUID, 0, 0, 0), call("setgid", unix.SYS_SETGID, 0, 0, 0), call("setgroups", unix.SYS_SETGROUPS, 0, 0, 0))
		}},
		{"raise-capabilities", "raise a capability or drop the securebits", func(*inside) verdict {
			header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			data := [2]unix.CapUserData{{Effective: 1 << unix.CAP_SYS_ADMIN, Permitted: 1 << unix.CAP_SYS_ADMIN}}
			return every(denied("capset", unix.Capset(&header, &data[0]), unix.EPERM),
				denied("ambient capability", unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, unix.CAP_SYS_ADMIN, 0, 0), unix.EPERM),
				denied("securebits", unix.Prctl(unix.PR_SET_SECUREBITS, 1, 0, 0, 0), unix.EPERM))
		}},
		{"file-capabilities", "a program with capabilities or the setuid bit of root, made here", func(*inside) verdict {
			name := "/tmp/selftest-caps"
			if err := os.WriteFile(name, []byte("x"), 0o700); err != nil {
				return broken("%v", err)
			}
			defer os.Remove(name)
			caps := []byte{1, 0, 0, 2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0, 0, 0, 0, 0, 0, 0}
			return every(denied("set file capabilities", unix.Setxattr(name, "security.capability", caps, 0), unix.EPERM, unix.EOPNOTSUPP),
				denied("give a file to root", unix.Chown(name, 0, 0), unix.EPERM))
		}},
		{"user-namespace", "a user namespace, in which one is root", func(*inside) verdict {
			return denied("unshare", unix.Unshare(unix.CLONE_NEWUSER), unix.EPERM, unix.ENOSYS, unix.ENOSPC)
		}},
		{"namespaces", "other new namespaces: mounts, network, processes, cgroups", func(*inside) verdict {
			var all []verdict
			for name, flag := range map[string]int{"mount": unix.CLONE_NEWNS, "network": unix.CLONE_NEWNET, "pid": unix.CLONE_NEWPID, "cgroup": unix.CLONE_NEWCGROUP, "ipc": unix.CLONE_NEWIPC, "uts": unix.CLONE_NEWUTS} {
				all = append(all, denied("new "+name+" namespace", unix.Unshare(flag), unix.EPERM))
			}
			return every(all...)
		}},
		{"setns", "enter a namespace of another process", func(*inside) verdict {
			f, err := os.Open("/proc/self/ns/net")
			if err != nil {
				return broken("%v", err)
			}
			defer f.Close()
			return every(denied("setns", unix.Setns(int(f.Fd()), 0), unix.EPERM), closedToRead("/proc/1/ns/mnt"))
		}},
		{"chroot", "chroot and pivot_root", func(*inside) verdict {
			return every(denied("chroot", unix.Chroot("/tmp"), unix.EPERM), denied("pivot_root", unix.PivotRoot("/tmp", "/tmp"), unix.EPERM))
		}},
		{"priority", "a real-time schedule, a higher priority, a lower rank for the OOM killer", func(*inside) verdict {
			rt := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 10}
			return every(denied("SCHED_FIFO", unix.SchedSetAttr(0, &rt, 0), unix.EPERM),
				denied("nice", unix.Setpriority(unix.PRIO_PROCESS, 0, -10), unix.EACCES, unix.EPERM),
				denied("oom_score_adj", os.WriteFile("/proc/self/oom_score_adj", []byte("-900"), 0), unix.EACCES, unix.EPERM))
		}},
	}
}

// status is /proc/PID/status.
func status(pid string) map[string]string {
	values := map[string]string{}
	data, _ := os.ReadFile("/proc/" + pid + "/status")
	for line := range strings.SplitSeq(string(data), "\n") {
		if key, value, ok := strings.Cut(line, ":"); ok {
			values[key] = strings.TrimSpace(value)
		}
	}
	return values
}

// setuidBinaries starts every setuid and setgid program of the image and looks
// at who it is.
func setuidBinaries(*inside) verdict {
	var found []string
	for _, dir := range []string{"/bin", "/sbin", "/usr", "/opt"} {
		_ = filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return nil
			}
			if info, err := e.Info(); err == nil && info.Mode()&(os.ModeSetuid|os.ModeSetgid) != 0 {
				found = append(found, name)
			}
			return nil
		})
	}
	own := status("self")["Uid"]
	seen := 0
	for _, name := range found {
		switch id := uidOf(name); id {
		case "":
		case own:
			seen++
		default:
			return broken("%s runs as %q", name, id)
		}
	}
	if status("self")["NoNewPrivs"] != "1" {
		return broken("%d programs, and no_new_privs is not set", len(found))
	}
	return held("%d programs, of which %d stayed to be looked at, as this user", len(found), seen)
}

// uidOf starts a program that waits for input, as far as it does, and returns
// its user ids; "" if it ended before it could be looked at.
func uidOf(name string) string {
	cmd := exec.Command(name)
	in, err := cmd.StdinPipe()
	if err != nil || cmd.Start() != nil {
		return ""
	}
	defer func() {
		in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	for range 100 {
		s := status(itoa(cmd.Process.Pid))
		if strings.HasPrefix(s["State"], "Z") {
			return ""
		}
		if s["Name"] != "" && strings.HasPrefix(filepath.Base(name), s["Name"]) { // it is that program by now
			return s["Uid"]
		}
		time.Sleep(2 * time.Millisecond)
	}
	return ""
}

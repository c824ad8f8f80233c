package sandboxtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sprawlto/ratchetai-runner/sandbox/pid1"
)

// runReal are the modes that need a real container:
//
//	check                 print Facts as JSON
//	mem MIB               use so much memory and print "used"
//	forkbomb N            read "go", try to fork N children that stay, print how many do, cat
//	orphans N             leave N orphans behind that end, print the zombies there are
//	faketunnel [orphan]   offer PID 1 a tunnel; print "refused" or "accepted"
//	fakerunner            connect to PID 1's socket; likewise
//	spin                  use a processor
//	terminal              print the terminal's size at every change and each line that is typed, end at "bye"
func runReal(in Inside) int {
	var err error
	switch in.Args[0] {
	case "check":
		err = json.NewEncoder(in.Stdout).Encode(gather())
	case "mem":
		use(in.number(1) << 20)
		fmt.Fprintln(in.Stdout, "used")
	case "forkbomb":
		err = forkBomb(in)
	case "orphans":
		err = orphans(in)
	case "orphan":
		err = startSelf("exit", "0")
	case "faketunnel":
		err = fakeTunnel(in)
	case "fakerunner":
		err = fakeRunner(in)
	case "terminal":
		err = atTerminal(in)
	case "spin":
		for { //nolint:staticcheck // it is what it is for
		}
	default:
		err = fmt.Errorf("no such probe: %q", in.Args)
	}
	if err != nil {
		fmt.Fprintln(in.Stderr, "probe:", err)
		return 2
	}
	return 0
}

// atTerminal is the probe of Docker.Attend.
func atTerminal(in Inside) error {
	size := func() string {
		w, err := unix.IoctlGetWinsize(0, unix.TIOCGWINSZ)
		if err != nil {
			return err.Error()
		}
		return fmt.Sprintf("size %dx%d", w.Col, w.Row)
	}
	typed := make(chan string)
	go func() {
		for lines := bufio.NewScanner(in.Stdin); lines.Scan(); {
			typed <- lines.Text()
		}
	}()
	for last := ""; ; {
		if now := size(); now != last {
			fmt.Fprintln(in.Stdout, now)
			last = now
		}
		select {
		case line := <-typed:
			fmt.Fprintf(in.Stdout, "typed %q\n", line)
			if line == "bye" {
				return nil
			}
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Facts is what a process in a sandbox finds out about it.
type Facts struct {
	Status     map[string]string // of /proc/self/status
	PID1       map[string]string // the same of PID 1
	Limits     string            // /proc/self/limits
	User       string            // the line of our uid in /etc/passwd
	Hosts      string            // /etc/hosts
	Localhost  []string          // what it resolves to
	Hostname   string
	HostAddrs  []string // what that resolves to
	Interfaces []string
	Routes     string
	Mounts     string
	ShmBytes   uint64
	TmpBytes   uint64
	CanWrite   map[string]string // path: error or ""
	CanRead    map[string]string // path: error or ""
	TmpExec    string            // error or ""
	Unshare    string            // error or ""
}

func gather() Facts {
	f := Facts{
		Status: status("self"), PID1: status("1"), Limits: read("/proc/self/limits"), Hosts: read("/etc/hosts"),
		Routes: read("/proc/net/route"), Mounts: read("/proc/self/mounts"),
		ShmBytes: size("/dev/shm"), TmpBytes: size("/tmp"),
		CanWrite: map[string]string{}, CanRead: map[string]string{},
	}
	for _, line := range strings.Split(read("/etc/passwd"), "\n") {
		if fields := strings.Split(line, ":"); len(fields) > 2 && fields[2] == strconv.Itoa(os.Getuid()) {
			f.User = line
		}
	}
	f.Localhost, _ = net.LookupHost("localhost")
	f.Hostname, _ = os.Hostname()
	f.HostAddrs, _ = net.LookupHost(f.Hostname)
	interfaces, _ := net.Interfaces()
	for _, i := range interfaces {
		f.Interfaces = append(f.Interfaces, i.Name)
	}
	for _, dir := range []string{"/", "/etc", "/opt/ratchetai", "/tmp", "/dev/shm", "/run", "/proc/sys/kernel", "/workspace"} {
		f.CanWrite[dir] = text(os.WriteFile(filepath.Join(dir, "probe-wrote"), nil, 0o600))
	}
	f.CanWrite["/etc/passwd"] = text(os.WriteFile("/etc/passwd", nil, 0o600))
	for _, file := range append([]string{
		"/proc/1/environ", "/proc/1/fd", "/proc/1/mem", "/proc/1/cwd", "/proc/kcore", "/dev/mem",
	}, outsiders()...) {
		f.CanRead[file] = text(readable(file))
	}
	f.TmpExec = text(runCopy("/tmp/probe-copy"))
	f.Unshare = text(unix.Unshare(unix.CLONE_NEWUSER))
	return f
}

// outsiders are the environments of processes without a parent here.
func outsiders() (files []string) {
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		if s := status(filepath.Base(dir)); s["PPid"] == "0" && s["Pid"] != "1" {
			files = append(files, dir+"/environ", dir+"/fd", dir+"/mem")
		}
	}
	return files
}

func readable(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Readdirnames(1); err == nil {
		return nil
	}
	_, err = f.Read(make([]byte, 1))
	return err
}

func status(pid string) map[string]string {
	values := map[string]string{}
	for _, line := range strings.Split(read("/proc/"+pid+"/status"), "\n") {
		if key, value, ok := strings.Cut(line, ":"); ok {
			values[key] = strings.TrimSpace(value)
		}
	}
	return values
}

func read(file string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func size(path string) uint64 {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return 0
	}
	return s.Blocks * uint64(s.Bsize)
}

func runCopy(file string) error {
	data, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, data, 0o700); err != nil {
		return err
	}
	return exec.Command(file, "exit", "0").Run()
}

func use(bytes int) {
	all := make([]byte, bytes)
	for i := 0; i < len(all); i += 4096 {
		all[i] = 1
	}
	runtime.KeepAlive(all)
}

// forkBomb does what cannot be done in Go, except that the children do nothing
// but one system call.
func forkBomb(in Inside) error {
	enough := make(chan struct{})
	for range 12 { // threads that the bomb must not keep this process from having
		go func() {
			runtime.LockOSThread()
			<-enough
			runtime.UnlockOSThread()
		}()
	}
	time.Sleep(50 * time.Millisecond)
	close(enough)
	if _, err := in.Stdin.Read(make([]byte, 3)); err != nil {
		return err
	}
	born := 0
	for range in.number(1) {
		pid, _, errno := syscall.RawSyscall(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0)
		if errno != 0 {
			continue
		}
		if pid == 0 {
			for {
				_, _, _ = syscall.RawSyscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 0, 0) // for ever; arm64 has no pause
			}
		}
		born++
	}
	fmt.Fprintln(in.Stdout, "born", born)
	_, err := io.Copy(in.Stdout, in.Stdin)
	return err
}

func startSelf(args ...string) error {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Start()
}

func orphans(in Inside) error {
	for range in.number(1) {
		if err := exec.Command("/proc/self/exe", "orphan").Run(); err != nil {
			return err
		}
	}
	var zombies int
	for range 50 { // the last ones may still be ending
		zombies = 0
		all, _ := filepath.Glob("/proc/[0-9]*")
		for _, dir := range all {
			if strings.HasPrefix(status(filepath.Base(dir))["State"], "Z") {
				zombies++
			}
		}
		if zombies == 0 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	_, err := fmt.Fprintln(in.Stdout, "zombies", zombies)
	return err
}

// fakeTunnel hands PID 1 two descriptors as the tunnel helper does: as a child
// of the agent, or as a process whose parent has gone.
func fakeTunnel(in Inside) error {
	if len(in.Args) > 1 && in.Args[1] == "orphan" {
		return throughOrphan(in)
	}
	if len(in.Args) > 1 && in.Args[1] == "start" {
		return startSelf("faketunnel", "late")
	}
	if len(in.Args) > 1 {
		time.Sleep(200 * time.Millisecond) // until the parent has gone
	}
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: "@ratchetai-tunnel", Net: "unix"})
	if err != nil {
		return err
	}
	defer c.Close()
	near, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	if _, _, err := c.WriteMsgUnix([]byte{0}, syscall.UnixRights(near[0], near[0]), nil); err != nil {
		fmt.Fprintln(in.Stdout, "refused")
		return nil
	}
	return sayWhether(in, c)
}

// fakeRunner connects where the runner does.
func fakeRunner(in Inside) error {
	c, err := net.Dial("unix", pid1.StateDir+"/"+pid1.SocketFile)
	if err != nil {
		return err
	}
	defer c.Close()
	return sayWhether(in, c)
}

// sayWhether prints whether PID 1 keeps c.
func sayWhether(in Inside, c net.Conn) error {
	_ = c.SetReadDeadline(time.Now().Add(2 * time.Second))
	_, err := c.Read(make([]byte, 1))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		fmt.Fprintln(in.Stdout, "accepted")
	} else {
		fmt.Fprintln(in.Stdout, "refused")
	}
	return nil
}

func throughOrphan(in Inside) error {
	var out bytes.Buffer
	cmd := exec.Command("/proc/self/exe", "faketunnel", "start")
	cmd.Stdout, cmd.Stderr = &out, &out // Run waits for all holders of it
	err := cmd.Run()
	fmt.Fprint(in.Stdout, out.String())
	return err
}

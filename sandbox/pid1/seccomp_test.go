//go:build linux

package pid1

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRestrictSockets applies the real filter to a thread of its own.
func TestRestrictSockets(t *testing.T) {
	t.Parallel()
	if socketFilter(runtime.GOARCH) == nil {
		t.Skipf("no images for %s", runtime.GOARCH)
	}
	type outcome struct {
		setup    error
		families map[int]error
		pair     error
		uring    error
	}
	done := make(chan outcome)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its filter
		o := outcome{setup: restrictSockets(), families: map[int]error{}}
		for _, family := range []int{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK, unix.AF_VSOCK, unix.AF_ALG, unix.AF_PACKET, unix.AF_CAN, 1<<16 | unix.AF_VSOCK} {
			fd, err := unix.Socket(family, unix.SOCK_DGRAM, 0)
			if err == nil {
				unix.Close(fd)
			}
			o.families[family] = err
		}
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if o.pair = err; err == nil {
			unix.Close(fds[0])
			unix.Close(fds[1])
		}
		if _, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 0, 0, 0); errno != 0 {
			o.uring = errno
		}
		done <- o
	}()
	o := <-done
	if o.setup != nil {
		t.Fatal(o.setup)
	}
	for family, err := range o.families {
		switch family {
		case unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK:
			if err == unix.EAFNOSUPPORT && family != unix.AF_INET6 || err == unix.EPERM {
				t.Errorf("family %d: %v", family, err)
			}
		default:
			if err != unix.EAFNOSUPPORT {
				t.Errorf("family %d: %v", family, err)
			}
		}
	}
	if o.pair != nil {
		t.Errorf("a pair: %v", o.pair)
	}
	if o.uring != unix.EPERM {
		t.Errorf("io_uring: %v", o.uring)
	}
	// Other threads are as they were.
	if fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0); err != nil {
		t.Error(err)
	} else {
		unix.Close(fd)
	}
}

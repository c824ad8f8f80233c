package pid1

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What the kernel tells a filter (struct seccomp_data), by offset.
const (
	atNumber = 0
	atArch   = 4
	atFamily = 16 // the low half of the first argument, on the little-endian machines that there are
)

// Numbers of the 32-bit system calls that a 64-bit machine also offers.
const (
	x32Bit         = 0x40000000
	i386Socketcall = 102
	i386Socket     = 359
	i386Socketpair = 360
	armSocket      = 281
	armSocketpair  = 288
	ioUringSetup   = 425 // everywhere
)

var errRestrict = errors.New("restrict sockets")

// restrictSockets leaves the calling thread, and what it starts, four families of
// sockets: Unix, IPv4, IPv6 and netlink, which a network namespace confines. Others
// it does not confine: with AF_VSOCK a process in a virtual machine talks to the
// machine's host, and older engines' own filters allow that. io_uring makes sockets
// past every filter, so it goes as well, as engines from 25 on have it; and so does
// the old 32-bit socketcall, whose arguments a filter cannot see.
func restrictSockets() error {
	program := socketFilter(runtime.GOARCH)
	if program == nil {
		return nil // a processor for which no image can be built
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("%w: %w", errRestrict, err)
	}
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(program)
	if errno != 0 {
		return fmt.Errorf("%w: %w", errRestrict, errno)
	}
	return nil
}

// rules are the system calls of one ABI that make sockets, and those that are
// refused altogether.
type rules struct {
	arch    uint32
	sockets []uint32
	never   []uint32
}

// socketFilter returns the filter for a Go architecture, or nil.
func socketFilter(goarch string) []unix.SockFilter {
	var native, compat rules
	switch goarch {
	case "amd64":
		native = rules{unix.AUDIT_ARCH_X86_64, []uint32{41, 53}, []uint32{ioUringSetup, x32Bit | 41, x32Bit | 53, x32Bit | ioUringSetup}}
		compat = rules{unix.AUDIT_ARCH_I386, []uint32{i386Socket, i386Socketpair}, []uint32{ioUringSetup, i386Socketcall}}
	case "arm64":
		native = rules{unix.AUDIT_ARCH_AARCH64, []uint32{198, 199}, []uint32{ioUringSetup}}
		compat = rules{unix.AUDIT_ARCH_ARM, []uint32{armSocket, armSocketpair}, []uint32{ioUringSetup, i386Socketcall}}
	default:
		return nil
	}
	var f []unix.SockFilter
	for _, r := range []rules{native, compat} {
		body := r.filter()
		f = append(f, load(atArch), unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: uint8(len(body)), K: r.arch})
		f = append(f, body...)
	}
	return append(f, answer(unix.SECCOMP_RET_ALLOW))
}

// filter decides for one ABI; it does not run on past its end.
func (r rules) filter() []unix.SockFilter {
	f := []unix.SockFilter{load(atNumber)}
	for _, n := range r.never {
		f = append(f, unless(n, 1), answer(unix.SECCOMP_RET_ERRNO|uint32(unix.EPERM)))
	}
	families := []uint32{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK}
	var check []unix.SockFilter
	for _, family := range families {
		check = append(check, unless(family, 1), answer(unix.SECCOMP_RET_ALLOW))
	}
	check = append(check, answer(unix.SECCOMP_RET_ERRNO|uint32(unix.EAFNOSUPPORT)))
	for _, n := range r.sockets {
		f = append(f, unless(n, uint8(1+len(check))), load(atFamily))
		f = append(f, check...)
	}
	return append(f, answer(unix.SECCOMP_RET_ALLOW))
}

func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

// unless skips instructions if what was loaded is not value.
func unless(value uint32, skip uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: skip, K: value}
}

func answer(value uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: value}
}

package runner

import "golang.org/x/sys/unix"

// grow returns a buffer of twice the length that begins with buf's content. Its
// pages exist once they are touched and come from the kernel, and growing it
// again moves them without a copy: on the heap each size would stay until a
// collection, so that a line would take several times its length. release must
// be called for what grow returned last.
func grow(buf []byte) []byte {
	if len(buf) > readBytes {
		bigger, err := unix.Mremap(buf, 2*len(buf), unix.MREMAP_MAYMOVE)
		if err != nil {
			panic("no memory for a line: " + err.Error()) // as the heap would
		}
		return bigger
	}
	bigger, err := unix.Mmap(-1, 0, 2*len(buf), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		panic("no memory for a line: " + err.Error())
	}
	copy(bigger, buf)
	return bigger
}

// release gives buf, which grow returned, back to the kernel.
func release(buf []byte) { _ = unix.Munmap(buf) }

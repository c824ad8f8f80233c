// Package peer is the far end of the benchmark's connections and the client
// that measures them. The far end is served by the runner, behind the tunnel,
// and by the probe itself, for a direct connection to compare with.
package peer

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"
)

// What a connection is for: its first byte. down and up are followed by the
// number of bytes, eight bytes big-endian.
const (
	echo = 'e'
	down = 'd'
	up   = 'u'
)

const (
	blockBytes   = 128 << 10
	requestBytes = 256
)

// Serve serves one connection to its end and closes it.
func Serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReaderSize(c, blockBytes)
	op, err := r.ReadByte()
	if err != nil {
		return
	}
	if op == echo {
		_, _ = io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{r})
		return
	}
	var size [8]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return
	}
	n := int64(binary.BigEndian.Uint64(size[:]))
	switch op {
	case down:
		_ = send(c, n)
	case up:
		if receive(r, n) == nil {
			_, _ = c.Write([]byte{1})
		}
	}
}

func send(w io.Writer, n int64) error {
	block := make([]byte, blockBytes)
	for n > 0 {
		k, err := w.Write(block[:min(n, blockBytes)])
		if err != nil {
			return err
		}
		n -= int64(k)
	}
	return nil
}

func receive(r io.Reader, n int64) error {
	block := make([]byte, blockBytes)
	for n > 0 {
		k, err := r.Read(block[:min(n, blockBytes)])
		if err != nil {
			return err
		}
		n -= int64(k)
	}
	return nil
}

// Requests opens a connection and returns how long the first request took, with
// the dial, and each of the later ones.
func Requests(addr string, later int) (first time.Duration, rest []time.Duration, err error) {
	start := time.Now()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, nil, err
	}
	defer c.Close()
	if _, err := c.Write([]byte{echo}); err != nil {
		return 0, nil, err
	}
	request, answer := make([]byte, requestBytes), make([]byte, requestBytes)
	for i := range later + 1 {
		if i > 0 {
			start = time.Now()
		}
		if _, err := c.Write(request); err != nil {
			return 0, nil, err
		}
		if _, err := io.ReadFull(c, answer); err != nil {
			return 0, nil, err
		}
		if i == 0 {
			first = time.Since(start)
		} else {
			rest = append(rest, time.Since(start))
		}
	}
	return first, rest, nil
}

// Down and Up return how many bytes per second come from and go to the far end.
func Down(addr string, n int64) (float64, error) {
	return rate(addr, down, n, func(c net.Conn) error { return receive(c, n) })
}

// Up is Down in the other direction.
func Up(addr string, n int64) (float64, error) {
	return rate(addr, up, n, func(c net.Conn) error {
		if err := send(c, n); err != nil {
			return err
		}
		return receive(c, 1)
	})
}

func rate(addr string, op byte, n int64, transfer func(net.Conn) error) (float64, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	start := time.Now()
	if _, err := c.Write(binary.BigEndian.AppendUint64([]byte{op}, uint64(n))); err != nil {
		return 0, err
	}
	if err := transfer(c); err != nil {
		return 0, fmt.Errorf("transfer: %w", err)
	}
	return float64(n) / time.Since(start).Seconds(), nil
}

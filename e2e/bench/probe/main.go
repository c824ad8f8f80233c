// Command probe is what the benchmark runs in containers in an agent's place:
//
//	first                 write a line, then wait for ever
//	lines N SIZE          write N lines of SIZE bytes as Claude Code would, then a result
//	rate BYTES SECONDS    the same 200-byte lines, BYTES per second, and whether a write was ever blocked
//	clock MS SECONDS      a 200-byte line with the time every MS milliseconds, then a result
//	turn                  wait for a message, answer it, wait for the end
//	tunnel BYTES          measure the tunnel against a direct connection, as JSON
//
// Its lines have the shape of Claude Code's, so that the session behind them
// decodes what it decodes in real use.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/sprawlto/ratchetai-runner/e2e/bench/peer"
	"github.com/sprawlto/ratchetai-runner/sandbox/pid1"
)

func main() {
	if err := run(time.Now(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func run(started time.Time, args []string) error {
	if len(args) == 0 {
		return errors.New("nothing to do")
	}
	number := func(i int) int64 {
		if i >= len(args) {
			return 0
		}
		n, _ := strconv.ParseInt(args[i], 10, 64)
		return n
	}
	switch args[0] {
	case "first":
		if _, err := os.Stdout.WriteString("first\n"); err != nil {
			return err
		}
		for { // a select without cases would be a deadlock to the runtime
			time.Sleep(time.Hour)
		}
	case "lines":
		return lines(number(1), int(number(2)))
	case "rate":
		return steady(number(1), time.Duration(number(2))*time.Second)
	case "clock":
		return clock(time.Duration(number(1))*time.Millisecond, time.Duration(number(2))*time.Second)
	case "turn":
		return turn()
	case "tunnel":
		return tunnel(started, number(1))
	}
	return fmt.Errorf("no such probe: %s", args[0])
}

const session = "aa75db7b-2859-402a-b5ff-09cec6cd2c2b"

// delta is a piece of a message, or of a tool's input, of size bytes with its newline.
func delta(i int64, size int) []byte {
	kind, key := "text_delta", "text"
	if i%4 == 3 {
		kind, key = "input_json_delta", "partial_json"
	}
	head := fmt.Sprintf(`{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":{"type":"%s","%s":"`, kind, key)
	tail := fmt.Sprintf(`"}},"session_id":%q}`+"\n", session)
	text := bytes.Repeat([]byte("the quick brown fox "), size/20+1)
	return slices.Concat([]byte(head), text[:max(0, size-len(head)-len(tail))], []byte(tail))
}

// output is a command's long output in a tool result of size bytes with its newline.
func output(size int) []byte {
	head := `{"type":"user","message":{"role":"user","content":[{"tool_use_id":"toolu_01","type":"tool_result","content":"`
	tail := fmt.Sprintf(`","is_error":false}]},"parent_tool_use_id":null,"session_id":%q}`+"\n", session)
	text := bytes.Repeat([]byte(`ok  \tgithub.com/example/module/internal/pkg\t0.042s\n`), size/53+1)
	text = text[:size-len(head)-len(tail)]
	if text[len(text)-1] == '\\' {
		text[len(text)-1] = '.'
	}
	return slices.Concat([]byte(head), text, []byte(tail))
}

func result(text string) []byte {
	return fmt.Appendf(nil, `{"type":"result","subtype":"success","is_error":false,"duration_ms":1,"result":%q,"session_id":%q}`+"\n", text, session)
}

func lines(n int64, size int) error {
	w := bufio.NewWriterSize(os.Stdout, 64<<10)
	variants := [][]byte{delta(0, size), delta(1, size), delta(2, size), delta(3, size)}
	if size > 64<<10 {
		variants = [][]byte{output(size)}
	}
	for i := range n {
		if _, err := w.Write(variants[i%int64(len(variants))]); err != nil {
			return err
		}
	}
	if _, err := w.Write(result("done")); err != nil {
		return err
	}
	return w.Flush()
}

// steady writes what a millisecond's share of the rate is, every millisecond. The
// pipe does not block, so that a write that would have is counted and not guessed
// from its duration.
func steady(perSecond int64, lasting time.Duration) error {
	if err := syscall.SetNonblock(1, true); err != nil {
		return err
	}
	const size = 200
	var written, blocked int64
	var longest time.Duration
	write := func(p []byte) error {
		for len(p) > 0 {
			start := time.Now()
			n, err := syscall.Write(1, p)
			longest = max(longest, time.Since(start))
			if errors.Is(err, syscall.EAGAIN) {
				blocked++
				time.Sleep(time.Millisecond)
				continue
			}
			if err != nil {
				return err
			}
			p = p[n:]
		}
		return nil
	}
	line := delta(0, size)
	for start := time.Now(); time.Since(start) < lasting; time.Sleep(time.Millisecond) {
		due := int64(time.Since(start).Seconds()*float64(perSecond)) - written
		block := bytes.Repeat(line, int(due/size))
		if err := write(block); err != nil {
			return err
		}
		written += int64(len(block))
	}
	return write(result(fmt.Sprintf("%d %d %d", written, blocked, longest.Nanoseconds())))
}

// clock says what time it is in a message's pieces, which end with what can be no part of
// a secret: that would be withheld until the next.
func clock(every, lasting time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for start := time.Now(); time.Since(start) < lasting; {
		now := <-tick.C
		_, err := fmt.Printf(`{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"%d is the time; "}},`+
			`"session_id":%q,"uuid":"0b8f6ed7-8d5a-4a53-a25c-3a7f1f3a9a01"}`+"\n", now.UnixNano(), session)
		if err != nil {
			return err
		}
	}
	_, err := os.Stdout.Write(result("done"))
	return err
}

// turn is the least that an agent does: it is asked, answers, and leaves when told.
func turn() error {
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return err
	}
	var message struct {
		UUID string `json:"uuid"`
	}
	if err := json.Unmarshal(line, &message); err != nil {
		return err
	}
	fmt.Printf(`{"type":"command_lifecycle","command_uuid":%q,"state":"started"}`+"\n", message.UUID)
	for i := range int64(20) {
		os.Stdout.Write(delta(i, 200))
	}
	if _, err := os.Stdout.Write(result("done")); err != nil {
		return err
	}
	_, err = in.ReadBytes('\n') // end_session
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return err
}

// Report is what tunnel prints; times are in nanoseconds, rates in bytes per second.
type report struct {
	Ready                    time.Duration
	DirectFirst, TunnelFirst []time.Duration
	DirectLater, TunnelLater []time.Duration
	DirectDown, TunnelDown   []float64
	DirectUp, TunnelUp       []float64
}

// tunnel asks at once, as soon as it runs: that is when the tunnel is ready.
func tunnel(started time.Time, n int64) error {
	var r report
	if _, _, err := peer.Requests(pid1.ProxyAddr, 0); err != nil {
		return fmt.Errorf("first request: %w", err)
	}
	r.Ready = time.Since(started)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go peer.Serve(c)
		}
	}()
	direct := l.Addr().String()
	for range 40 {
		time.Sleep(5 * time.Millisecond) // apart, as an agent's requests are
		if err := requests(direct, &r.DirectFirst, &r.DirectLater); err != nil {
			return err
		}
		time.Sleep(5 * time.Millisecond)
		if err := requests(pid1.ProxyAddr, &r.TunnelFirst, &r.TunnelLater); err != nil {
			return err
		}
	}
	for range 3 {
		for _, t := range []struct {
			to      *[]float64
			measure func(string, int64) (float64, error)
			addr    string
		}{
			{&r.DirectDown, peer.Down, direct}, {&r.TunnelDown, peer.Down, pid1.ProxyAddr},
			{&r.DirectUp, peer.Up, direct}, {&r.TunnelUp, peer.Up, pid1.ProxyAddr},
		} {
			rate, err := t.measure(t.addr, n)
			if err != nil {
				return err
			}
			*t.to = append(*t.to, rate)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

func requests(addr string, first, later *[]time.Duration) error {
	f, rest, err := peer.Requests(addr, 20)
	*first, *later = append(*first, f), append(*later, rest...)
	return err
}

package world

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/sprawlto/ratchetai-runner/sandbox/sandboxtest"
)

// Order is what a prompt asks of the scripted agent, as JSON.
type Order struct {
	Name  string        `json:"name"`            // of the task, which no other has
	Lines int           `json:"lines"`           // to print, besides what every session has
	Bytes int           `json:"bytes,omitempty"` // of each; 0: lines of every kind
	Pause time.Duration `json:"pause,omitempty"` // after each
	Long  int           `json:"long,omitempty"`  // bytes of one more line
	Gate  string        `json:"gate,omitempty"`  // to wait for before the result
	Crash bool          `json:"crash,omitempty"` // to exit without a result
}

// Prompt is the order as a task's prompt.
func (o Order) Prompt() string {
	data, _ := json.Marshal(o) // plain data
	return string(data)
}

// Run is one agent that worked at an order.
type Run struct {
	Order string
	Lines [][sha256.Size]byte // hashes of what it printed, without pieces of messages
	Done  bool                // its result was printed
	Heard []string            // messages besides the order, in order
}

// Script plays all agents of a world and remembers what they did.
type Script struct {
	mu    sync.Mutex
	runs  []*Run
	gates map[string]chan struct{}
}

// Open lets agents go on that wait at a gate, now and later.
func (s *Script) Open(name string) {
	g := s.gate(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-g:
	default:
		close(g)
	}
}

func (s *Script) gate(name string) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gates == nil {
		s.gates = map[string]chan struct{}{}
	}
	if s.gates[name] == nil {
		s.gates[name] = make(chan struct{})
	}
	return s.gates[name]
}

// Runs returns the runs of an order, in the order in which they began.
func (s *Script) Runs(order string) (all []Run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.runs {
		if r.Order == order {
			all = append(all, *r)
		}
	}
	return all
}

// claude is the agent.
func (s *Script) claude(ctx context.Context, in sandboxtest.Inside) int {
	p := &player{Script: s, ctx: ctx, in: in, stdin: make(chan []byte)}
	go func() {
		defer close(p.stdin)
		r := bufio.NewReader(in.Stdin)
		for {
			line, err := r.ReadBytes('\n')
			if err != nil {
				return
			}
			select {
			case p.stdin <- line:
			case <-ctx.Done():
				return
			}
		}
	}()
	for line := range p.stdin {
		if !p.take(line) {
			break
		}
	}
	return 0
}

// player is one agent.
type player struct {
	*Script
	ctx    context.Context
	in     sandboxtest.Inside
	stdin  chan []byte
	run    *Run
	busy   bool
	queued [][]byte // messages that came while it was busy
	cut    bool     // the turn was interrupted
	leave  bool
}

// say prints a line that the journal has to hold.
func (p *player) say(format string, a ...any) { p.print([]byte(fmt.Sprintf(format, a...))) }

func (p *player) print(line []byte) {
	n, err := p.in.Stdout.Write(append(line, '\n'))
	if err != nil { // the disk is full, or it was killed
		p.cut, p.leave, line = true, true, line[:n]
	}
	if p.run == nil || n == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.run.Lines = append(p.run.Lines, sha256.Sum256(line))
}

// take deals with a line of stdin; false ends the agent.
func (p *player) take(line []byte) bool {
	var m struct {
		Type      string
		UUID      string
		RequestID string `json:"request_id"`
		Request   struct{ Subtype string }
		Message   struct{ Content any }
	}
	if json.Unmarshal(line, &m) != nil {
		return true
	}
	if m.Type == "control_request" {
		p.begin("")
		p.say(`{"type":"control_response","response":{"subtype":"success","request_id":%q}}`, m.RequestID)
		p.cut = p.cut || m.Request.Subtype == "interrupt"
		p.leave = p.leave || m.Request.Subtype == "end_session"
		return !p.leave
	}
	if p.busy {
		p.queued = append(p.queued, line)
		return true
	}
	p.turn(m.UUID, fmt.Sprint(m.Message.Content))
	for len(p.queued) > 0 && !p.leave {
		next := p.queued[0]
		p.queued = p.queued[1:]
		p.take(next)
	}
	return !p.leave
}

// begin notes what the agent works at.
func (p *player) begin(text string) (o Order) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run == nil {
		p.run = &Run{}
		p.runs = append(p.runs, p.run)
	}
	switch {
	case text == "":
	case p.run.Order == "" && json.Unmarshal([]byte(text), &o) == nil:
		p.run.Order = o.Name
	default:
		p.run.Heard = append(p.run.Heard, text)
	}
	return o
}

// turn does what a message wants.
func (p *player) turn(id, text string) {
	o := p.begin(text)
	p.busy, p.cut = true, false
	defer func() { p.busy = false }()
	p.say(`{"type":"system","subtype":"init","session_id":"c","model":"m","cwd":"/workspace","claude_code_version":"2","tools":[]}`)
	p.say(`{"type":"user","message":{"role":"user","content":"x"},"uuid":%q,"isReplay":true}`, id)
	for i := range o.Lines {
		p.print(lineOf(o.Name, i, o.Bytes))
		if !p.wait(o.Pause, nil) {
			break
		}
	}
	if o.Long > 0 && !p.cut {
		p.print(long(o.Long))
	}
	if o.Gate != "" && !p.cut {
		p.wait(1<<62, p.gate(o.Gate))
	}
	switch {
	case p.ctx.Err() != nil, p.leave:
	case p.cut:
		p.say(`{"type":"result","subtype":"error_during_execution","is_error":true,"terminal_reason":"aborted_streaming","session_id":"c"}`)
	case o.Crash:
		p.leave = true
	default:
		p.mu.Lock()
		p.run.Done = true
		p.mu.Unlock()
		p.say(`{"type":"assistant","message":{"id":"m-end","role":"assistant","content":[{"type":"text","text":%q}]}}`, "done: "+o.Name)
		p.say(`{"type":"result","subtype":"success","is_error":false,"result":%q,"session_id":"c"}`, "done: "+o.Name)
	}
}

// wait waits for d, or until the gate opens, and deals with what comes on stdin meanwhile. It
// returns false when the turn is to end.
func (p *player) wait(d time.Duration, gate <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		select {
		case line, ok := <-p.stdin:
			if !ok {
				return false
			}
			p.take(line)
			if p.cut || p.leave {
				return false
			}
		case <-gate:
			return true
		case <-t.C:
			return true
		case <-p.ctx.Done():
			return false
		}
	}
}

// lineOf is the line number i of an order: of a size, or of every kind that there is.
func lineOf(name string, i, bytes int) []byte {
	mark := fmt.Sprintf("%s/%d ", name, i)
	text := func(s string) []byte {
		data, _ := json.Marshal(s)
		return fmt.Appendf(nil, `{"type":"assistant","message":{"id":"m%d","role":"assistant","content":[{"type":"text","text":%s}]}}`, i, data)
	}
	if bytes > 0 {
		return text(mark + strings.Repeat("x", bytes))
	}
	switch i % 10 {
	case 8:
		return []byte(" {\"type\":\"never.seen\",\"mark\":\"" + mark + "\"}\t\r")
	case 9:
		return []byte("{\"type\":\"never.seen\",\r\"mark\":\"" + mark + "\"}")
	case 1:
		return []byte("not JSON \xff\xfe\x00 " + mark + "\r")
	case 2:
		return fmt.Appendf(nil, `{"type":"assistant","message":{"id":"m%d","role":"assistant","content":[{"type":"tool_use","id":"t%d","name":"Bash","input":{"command":"echo %s"}}]}}`, i, i, mark)
	case 3:
		return fmt.Appendf(nil, `{"type":"user","message":{"role":"user","content":[{"type":"tool_result","tool_use_id":"t%d","content":"%s"}]}}`, i-1, mark)
	case 4:
		return fmt.Appendf(nil, `{"type":"never.seen" , "mark":"%s","x":[1e400, 0.10, "\u0000\ud800", {"a":{}}], "type":"twice"}`, mark)
	case 5:
		return []byte(`{"type":"system","subtype":"status","text":"` + mark + "\xc3\x28" + `"}`)
	case 6:
		return text(mark + strings.Repeat("äöü€\u2028", 6<<10)) // longer than a journal puts into a record
	case 7:
		return []byte(" " + mark)
	}
	return text(mark + "<script>&\u0000\U0001F600")
}

// long is a line that is too long for a batch.
func long(bytes int) []byte {
	line := make([]byte, 0, bytes+256)
	line = append(line, `{"type":"assistant","message":{"id":"long","role":"assistant","content":[{"type":"text","text":"`...)
	for len(line) < bytes {
		line = append(line, "0123456789abcdef"...)
	}
	return append(line, `"}]}}`...)
}

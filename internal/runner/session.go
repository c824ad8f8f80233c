package runner

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
	"github.com/sprawlto/ratchetai-runner/internal/redact"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

const (
	// previewAbove is the length from which a line is decoded in a shortened
	// form; the journal keeps it whole.
	previewAbove = 256 << 10
	// previewString is what remains of a long string then.
	previewString = 8 << 10
	// dataMax bounds the data of an event of the agent's; a batch of events has to hold it.
	dataMax = 1 << 20
	// commandMax bounds the text of a command, in bytes of JSON.
	commandMax = 8 << 20
	// journalFactor times what an agent may write is how long its journal may get: a
	// line of two bytes takes two hundred there.
	journalFactor = 4
	// endMax is what an agent that was asked to leave gets before SIGTERM, and
	// again before it is killed.
	endMax = 10 * time.Second
)

// errFlood: what the agent wrote makes a journal that is too long.
var errFlood = errors.New("too many lines")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Session is one running session. Its methods are safe for concurrent use.
type Session struct {
	Record
	runner  *Runner
	journal *journal.Journal
	secrets *redact.Set
	held    *lock

	ctx    context.Context // until the end; for what serves the agent meanwhile
	cancel context.CancelFunc
	ended  chan struct{} // closed when the last event is journalled

	keeper keeping // renews the login

	final event.SessionFinished

	// mu orders everything that the adapter and the journal see.
	mu      sync.Mutex
	adapter agent.Adapter
	proc    sandbox.Process
	sent    uint64       // number of the last stdin line that proc was given
	pending []agent.Step // what waits for proc
	deltas  deltas
	entries []journal.Entry // reused
	out     int64           // bytes of stdout that are journalled
	sum     uint32
	fault   error // the journal's first error; nothing is accepted after it
	turn    *event.TurnFinished
	usage   *event.Usage
	meter   meter
	heard   time.Time // when the agent's last line came
	stderr  string    // the last line
	stop    *stopped  // why the session is being ended, if it is
	ending  bool      // the agent was asked to leave
	stay    bool      // an idle agent waits for another message
	over    bool      // the agent has ended: nothing but the session's end is journalled
	left    error     // why the session was left without an end, if it was
	asks    map[string]*openAsk

	commands map[string]bool // ids of those that are in the journal

	stopAt   time.Time   // when a dead runner journalled stop
	graceEnd *time.Timer // of an agent that was told to finish
}

// Done is closed when the session has ended and everything is journalled.
func (s *Session) Done() <-chan struct{} { return s.ended }

// Result returns the session's last event, after Done.
func (s *Session) Result() event.SessionFinished { <-s.ended; return s.final }

// Left returns, after Done, why the session was left without an end: ErrLeft,
// wrapped, when the engine is gone and the agent may still work. It is nil for a
// session that has ended.
func (s *Session) Left() error { <-s.ended; return s.left }

// Events returns the session's journal from entry number from on, as it grows,
// up to its last event or until ctx ends.
func (s *Session) Events(ctx context.Context, from uint64) iter.Seq2[journal.Entry, error] {
	return s.journal.Follow(ctx, from, string(event.TypeSessionFinished))
}

// EventsFar is Events without the raw lines of more than above bytes; see package
// journal.
func (s *Session) EventsFar(ctx context.Context, from uint64, above int64) iter.Seq2[journal.Entry, error] {
	return s.journal.FollowFar(ctx, from, string(event.TypeSessionFinished), above)
}

// Message is Steer with agent.Next.
func (s *Session) Message(text string) (string, error) { return s.Steer(text, agent.Next) }

// Steer gives the agent text, when p says, and returns the command's id.
func (s *Session) Steer(text string, p agent.Priority) (string, error) {
	return s.command(agent.Command{Kind: agent.Message, Text: text, Priority: p})
}

// Withdraw takes back the last message that the model has not seen, the prompt
// apart. What becomes of it is an event: command.withdrawn of the message, or
// command.failed of the withdrawal, whose id is returned.
func (s *Session) Withdraw() (string, error) {
	return s.command(agent.Command{Kind: agent.Withdraw})
}

// Interrupt stops the running turn. An agent that is then idle leaves, and the
// session counts as cancelled, unless stay is set and it gets another message.
func (s *Session) Interrupt(stay bool) error {
	s.mu.Lock()
	s.stay = stay
	var err error
	if !stay {
		err = s.stopBy(stopped{outcome: event.Cancelled, reason: "interrupted"})
	}
	s.mu.Unlock()
	if err == nil {
		_, err = s.command(agent.Command{Kind: agent.Interrupt})
	}
	return err
}

func (s *Session) command(c agent.Command) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.ending && c.Kind == agent.Message {
		return "", sandbox.ErrEnded
	}
	if c.Kind == agent.Message {
		s.stay = false
	}
	c.ID = uuid.NewString()
	id, err := s.do(c)
	if err == nil {
		err = s.settle()
	}
	return id, err
}

// do journals why, c and what the adapter makes of it as one group, then sends.
func (s *Session) do(c agent.Command, why ...event.Data) (string, error) {
	if err := fits(c); err != nil {
		return "", err
	}
	s.commands[c.ID] = true
	queued := event.CommandQueued{Command: c.ID, Kind: string(c.Kind), Text: c.Text, Priority: string(c.Priority), Answer: c.Answer}
	step := s.adapter.Do(c)
	step.Events = slices.Concat(why, []event.Data{queued}, step.Events)
	if err := s.apply(step, nil); err != nil {
		return "", err
	}
	return c.ID, nil
}

// fits refuses a command that is too long for a line of the agent's stdin.
func fits(c agent.Command) error {
	if len(c.Text) <= commandMax/6 { // a character takes six in JSON at most
		return nil
	}
	if data, err := json.Marshal(c.Text); err != nil || len(data) > commandMax {
		return fmt.Errorf("the %s has more than %d MiB: put it into a file of the workspace", c.Kind, commandMax>>20)
	}
	return nil
}

// apply journals a step's events as one group, which raw, if not nil, caused,
// and then sends its lines. s.mu is held.
func (s *Session) apply(step agent.Step, raw []byte) error {
	return s.take(step, raw, s.journal.Append)
}

// take is apply with journal.Append or, where more lines follow at once and none
// is sent, journal.Queue.
func (s *Session) take(step agent.Step, raw []byte, add func(...journal.Entry) (uint64, error)) error {
	if s.fault != nil {
		return s.fault
	}
	s.note(step.Events)
	s.stampAsks(step.Events)
	entries := s.entries[:0]
	events := s.deltas.redact(s.secrets, step.Events)
	for _, d := range events {
		e, err := s.entry(d)
		if err != nil {
			return err
		}
		entries = append(entries, e)
	}
	if raw != nil {
		entries = withRaw(entries, events, raw, s.out, s.sum)
	}
	_, err := add(entries...)
	clear(entries) // they hold the line
	s.entries = entries
	if err != nil {
		s.fault = err
		return err
	}
	s.trackAsks(step.Events)
	return s.send(step)
}

func (s *Session) entry(d event.Data) (journal.Entry, error) {
	data, err := json.Marshal(d)
	if err != nil {
		return journal.Entry{}, fmt.Errorf("encode %s: %w", d.EventType(), err)
	}
	if len(data) > dataMax && d.EventType() != event.TypeCommandQueued { // which a replay needs, and which is bounded
		return s.entry(event.Unparsed{Reason: fmt.Sprintf("%s of %d bytes is kept as the line only", d.EventType(), len(data))})
	}
	if raw := s.secrets.Bytes(data); len(raw) != len(data) || &raw[0] != &data[0] {
		data = raw
	}
	return journal.Entry{Type: string(d.EventType()), Data: data}, nil
}

// send passes a step's lines to the agent; before it runs they wait. A process
// that has ended takes none, which its end will show.
func (s *Session) send(step agent.Step) error {
	if s.proc == nil {
		s.pending = append(s.pending, step)
		return nil
	}
	for _, line := range step.Send {
		s.sent++
		if err := s.proc.Send(s.sent, line); err != nil && !errors.Is(err, sandbox.ErrEnded) {
			return err
		}
	}
	if step.Terminate {
		s.signal(syscall.SIGTERM)
	}
	return nil
}

// signal does not hold up the stream: the engine may be slow to answer.
func (s *Session) signal(sig syscall.Signal) {
	proc := s.proc
	go func() { _ = proc.Signal(context.Background(), sig) }()
}

// note keeps what the outcome depends on. s.mu is held.
func (s *Session) note(events []event.Data) {
	for _, d := range events {
		s.meter.note(d)
		switch d := d.(type) {
		case event.SessionStopping:
			s.noteStop(d)
		case event.TurnStarted:
			s.turn = nil
		case event.TurnFinished:
			s.turn = &d
			if d.Usage != nil {
				s.usage = d.Usage
			}
		case event.UsageUpdated:
			s.usage = &d.Usage
		}
	}
}

// line takes one line of stdout, without its newline; size counts the bytes that
// it had in the stream. more says that the next one will follow at once, so that
// this one may go into the journal together with it. The line is not kept.
func (s *Session) line(line []byte, size int, more bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sum = crc32.Update(s.sum, castagnoli, line)
	if size > len(line) {
		s.sum = crc32.Update(s.sum, castagnoli, newline)
	}
	s.out += int64(size)
	s.heard = time.Now()
	if s.journal.Size() > journalFactor*cmp.Or(s.Limits.StdoutBytes, sandbox.DefaultStdoutBytes) {
		return errFlood
	}
	raw := s.secrets.Bytes(line)
	step := s.adapter.Line(preview(raw))
	add := s.journal.Append
	if more && len(step.Send) == 0 && !step.Terminate {
		add = s.journal.Queue
	}
	if err := s.take(step, raw, add); err != nil {
		return err
	}
	return s.settle()
}

var newline = []byte{'\n'}

func preview(line []byte) []byte {
	if len(line) <= previewAbove {
		return line
	}
	return agent.Preview(line, previewString)
}

// emit journals events of the runner's own.
func (s *Session) emit(events ...event.Data) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.apply(agent.Step{Events: events}, nil)
}

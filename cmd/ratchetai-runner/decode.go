package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
	"github.com/sprawlto/ratchetai-runner/internal/term"
)

// decodeMaxLine bounds a line of decode's input. The longest seen was 5 MB.
const decodeMaxLine = 64 << 20

func (a *app) decodeCommand() *cobra.Command {
	var kind string
	var asJSON bool
	c := &cobra.Command{
		Use:   "decode [FILE]",
		Short: "Show what an agent printed that was run without this program",
		Long: `Show what an agent printed that was run without this program, such as a log of a CI run:

  claude -p PROMPT --output-format stream-json --verbose | ratchetai-runner decode
  codex exec --json PROMPT </dev/null | ratchetai-runner decode

It takes Claude Code's stream-json, and of Codex the output of exec --json and of app-server; which one it is,
it finds out. FILE or - is where to read; the default is stdin. Lines that it does not understand are counted
at the end and are agent.unparsed events of --json.`,
		Args: only(0, 1, "FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			switch agent.Kind(kind) {
			case "", agent.Claude, agent.Codex:
			default:
				return usageError{fmt.Errorf("unknown agent %q: use claude or codex", kind)}
			}
			in := io.Reader(a.In)
			if len(args) > 0 && args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return usageError{err}
				}
				defer f.Close()
				in = f
			}
			return a.decode(in, agent.NewDecoder(agent.Kind(kind)), asJSON)
		},
	}
	c.Flags().StringVar(&kind, "agent", "", "whose output it is: claude or codex (default: found out)")
	c.Flags().BoolVar(&asJSON, "json", false, "print events, one JSON object per line")
	return c
}

// decode shows every line of in as it comes.
func (a *app) decode(in io.Reader, d *agent.Decoder, asJSON bool) error {
	var out sink = &jsonSink{out: a.Out, err: a.Err}
	if !asJSON {
		o := a.display()
		o.Err, o.Live = o.Out, false
		out = &humanSink{printer: term.New(o)}
	}
	defer out.close()
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), decodeMaxLine)
	var seq uint64
	unparsed := 0
	for lines.Scan() {
		line := bytes.TrimSuffix(lines.Bytes(), []byte("\r"))
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		for i, e := range d.Line(line) {
			seq++
			entry, err := decoded(seq, e)
			if err != nil {
				return err
			}
			if i == 0 { // as in a journal: the first event of a line has it
				entry.Raw, entry.RawJSON = line, json.Valid(line)
			}
			if e.EventType() == event.TypeUnparsed {
				unparsed++
			}
			out.entry(entry)
		}
	}
	if unparsed > 0 {
		out.say(fmt.Sprintf("lines that were not understood: %d; --json shows them as agent.unparsed", unparsed))
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("a line is longer than %d MB", decodeMaxLine>>20)
	}
	return lines.Err()
}

func decoded(seq uint64, e event.Data) (journal.Entry, error) {
	data, err := json.Marshal(e)
	if err != nil {
		return journal.Entry{}, fmt.Errorf("event %s: %w", e.EventType(), err)
	}
	return journal.Entry{Seq: seq, Time: time.Now(), Type: string(e.EventType()), Data: data}, nil
}

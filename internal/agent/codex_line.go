package agent

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// Line takes one line of the server's stdout.
func (c *codex) Line(line []byte) Step {
	var s codexStep
	if d, ok := codexScanDelta(line); ok {
		c.delta(&s, d)
		return s.Step
	}
	var l codexLine
	switch err := codexDecode(line, &l); {
	case len(bytes.TrimSpace(line)) == 0:
		s.unparsed("empty line")
	case err != nil:
		s.unparsed("not a JSON object: " + err.Error())
	case l.Method != "" && codexHasID(l.ID):
		c.serverRequest(&s, l)
	case l.Method != "":
		c.notification(&s, l)
	case codexHasID(l.ID):
		c.response(&s, l)
	default:
		s.unparsed("neither a method nor an id")
	}
	c.advance(&s)
	if len(s.Events) == 0 { // the promise of Adapter.Line, whatever else happens
		s.unparsed("nothing to say about " + codexTitle(l.Method))
	}
	return s.Step
}

// codexHasID reports whether id is a JSON number or string of a sane length.
func codexHasID(id json.RawMessage) bool {
	if len(id) == 0 || len(id) > 256 {
		return false
	}
	return id[0] == '"' || id[0] == '-' || '0' <= id[0] && id[0] <= '9'
}

func (s *codexStep) unparsed(reason string) { s.add(event.Unparsed{Reason: reason}) }

func (s *codexStep) protocol(name string) { s.add(event.Protocol{Name: name}) }

func (s *codexStep) notice(kind, text string) { s.add(event.Notice{Kind: kind, Text: text}) }

// response handles the answer to one of our requests.
func (c *codex) response(s *codexStep, l codexLine) {
	id, err := strconv.ParseInt(string(l.ID), 10, 64)
	call, known := c.calls[id]
	if err != nil || !known {
		s.unparsed("response to a request that was not made")
		return
	}
	delete(c.calls, id)
	switch call.method {
	case "initialize":
		c.initialized(s, l)
	case "thread/start", "thread/resume", "thread/fork":
		c.threadStarted(s, call.method, l)
	case "turn/start":
		c.turnAccepted(s, call, l)
	case "turn/steer":
		c.steerAccepted(s, call, l)
	case "turn/interrupt":
		c.interruptAccepted(s, call, l)
	}
	if len(s.Events) == 0 {
		s.protocol(call.method)
	}
}

func (c *codex) initialized(s *codexStep, l codexLine) {
	if l.Error != nil {
		c.refuse(s, "initialize", l.Error)
		return
	}
	var r struct {
		UserAgent string `json:"userAgent"`
	}
	_ = codexDecode(l.Result, &r) // the version is for people only
	// "ratchetai-runner/0.169.0 (Debian 12.0.0; x86_64) …": our name, its version.
	_, rest, _ := strings.Cut(r.UserAgent, "/")
	c.version, _, _ = strings.Cut(rest, " ")
	s.send(codexNotification{Method: "initialized"})
	// The sandbox is ours, and the policy too. "untrusted" asks about every command
	// and patch; "never" spares a round trip where the answer is always yes.
	approval := "never"
	if c.o.Permissions != nil {
		approval = "untrusted"
	}
	t := codexThread{
		Cwd:            Workspace,
		Model:          c.o.Model,
		ApprovalPolicy: approval,
		Sandbox:        "danger-full-access",
		// An untrusted project's AGENTS.md is not read.
		DeveloperInstructions: c.o.Instructions,
	}
	method := "thread/start"
	if c.o.Resume != "" {
		method = "thread/resume"
		if c.o.Fork {
			method = "thread/fork"
		}
		t.ThreadID, t.ExcludeTurns = c.o.Resume, true
	}
	c.request(s, method, t, codexCall{})
}

func (c *codex) threadStarted(s *codexStep, method string, l codexLine) {
	if l.Error != nil {
		c.refuse(s, method, l.Error)
		return
	}
	var r struct {
		Thread struct {
			ID         string `json:"id"`
			CLIVersion string `json:"cliVersion"`
		} `json:"thread"`
		Model string `json:"model"`
		Cwd   string `json:"cwd"`
	}
	if err := codexDecode(l.Result, &r); err != nil || r.Thread.ID == "" {
		c.refuse(s, method, &codexRPCError{Message: "the answer has no thread id"})
		return
	}
	c.phase = codexReady
	c.thread, c.model = r.Thread.ID, r.Model
	if c.version == "" {
		c.version = r.Thread.CLIVersion
	}
	e := event.SessionStarted{
		Agent: string(Codex), Version: c.version, Model: r.Model, Conversation: c.thread, Cwd: r.Cwd,
	}
	for _, name := range c.o.MCP { // how it goes on is in mcpServer/startupStatus/updated
		if e.MCP == nil {
			e.MCP = map[string]string{}
		}
		e.MCP[name] = "starting"
	}
	s.add(e)
	if !Priced(c.model) {
		s.notice("info", "the price list of "+pricesAsOf+" has no "+codexTitle(c.model)+": its cost is not counted")
	}
}

// refuse ends a session whose handshake failed: no message will be answered.
func (c *codex) refuse(s *codexStep, method string, e *codexRPCError) {
	c.phase = codexFailed
	text := "codex refused " + method + ": " + e.Message
	for _, m := range c.held {
		s.fail(m.id, text)
	}
	for _, id := range c.stops {
		s.fail(id, text)
	}
	c.held, c.stops = nil, nil
	s.add(event.TurnFinished{Status: event.TurnFailed, Reason: event.ReasonAPI, Error: text})
}

func (c *codex) turnAccepted(s *codexStep, call codexCall, l codexLine) {
	c.starting = false
	m := call.message
	if l.Error != nil {
		s.fail(m.id, l.Error.Message)
		if c.turn == "" {
			// Nothing else would tell that this message gets no answer.
			s.add(event.TurnFinished{Status: event.TurnFailed, Reason: event.ReasonAPI, Error: l.Error.Message})
			c.dropStops(s)
		}
		return
	}
	var r struct {
		Turn codexTurn `json:"turn"`
	}
	if err := codexDecode(l.Result, &r); err != nil {
		s.unparsed("turn/start: " + err.Error())
		return
	}
	// While a turn runs, turn/start adds to it and answers with its id.
	m.opener = r.Turn.ID != call.turn
	if r.Turn.ID != c.turn && r.Turn.ID != c.ended {
		c.setTurn(r.Turn.ID)
	}
	c.accept(s, m, r.Turn.ID)
}

func (c *codex) steerAccepted(s *codexStep, call codexCall, l codexLine) {
	c.steering--
	m := call.message
	switch {
	case l.Error == nil:
		c.accept(s, m, call.turn)
	case strings.Contains(l.Error.Message, "cannot steer"), bytes.Contains(l.Error.Data, []byte("activeTurnNotSteerable")):
		c.noSteer = call.turn
		c.hold(m)
	case l.Error.Code == -32600: // the turn has just ended, or another one runs
		m.restart = true
		c.hold(m)
	default:
		s.fail(m.id, l.Error.Message)
	}
}

// accept notes that the server has m. It counts as seen by the model only once
// an item says so: a message that waits when its turn is interrupted is lost.
func (c *codex) accept(s *codexStep, m *codexMessage, turn string) {
	if !m.delivered {
		m.delivered = true
		s.add(event.CommandDelivered{Command: m.id})
	}
	m.turn = turn
	if m.consumed {
		return
	}
	c.taken = append(c.taken, m)
	if turn == c.ended {
		c.settle(s, turn, c.endedStatus)
	}
}

func (c *codex) interruptAccepted(s *codexStep, call codexCall, l codexLine) {
	if call.command == "" { // for a message; if it came too late, the turn ends by itself
		return
	}
	if l.Error != nil {
		s.fail(call.command, l.Error.Message)
		return
	}
	s.add(event.CommandDelivered{Command: call.command})
	switch {
	case call.turn == c.turn:
		c.sent = append(c.sent, call.command)
	case call.turn == c.ended && c.endedStatus == "interrupted":
		s.add(event.CommandConsumed{Command: call.command})
	}
}

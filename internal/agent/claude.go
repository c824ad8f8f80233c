package agent

import (
	"cmp"
	"slices"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

const (
	claudeBinary = "/opt/ratchetai/claude/claude"
	// claudeBypass lets every tool run without asking, as uid 0 too where
	// IS_SANDBOX is set: the sandbox is the boundary, and a question per command
	// would stall while a runner is away. AskUserQuestion still asks.
	claudeBypass  = "bypassPermissions"
	claudeMCPFile = "/run/mcp.json"
	claudeAPIHost = "api.anthropic.com"
	// claudeLoginHost is where 2.1.330 spends refresh tokens (/v1/oauth/token).
	claudeLoginHost = "platform.claude.com"
)

// claude drives `claude -p` with stream-json on both sides.
//
// It counts as idle what Claude Code calls idle: with
// CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS it says so in session_state_changed,
// after the `result` of the last turn that is due. Without those lines (older
// versions) a turn ends at its `result`. By itself 2.1.330 runs subagents and,
// when the model wants, shell commands in the background past that point, and
// end_session kills them: CLAUDE_CODE_DISABLE_BACKGROUND_TASKS makes both wait.
type claude struct {
	opts Options

	introduced bool         // the first init was seen
	starting   bool         // a message was taken up, its init has not come
	turn       bool         // between init and result
	answered   bool         // some message was dealt with
	state      string       // of the last session_state_changed; empty: none yet
	background []claudeTask // what runs in the background

	messages map[string]claudeMessageState // by command id
	waiting  int                           // messages that the model has not seen
	order    []string                      // of the messages, by command id
	requests map[string]string             // our control request id -> command id
	asks     asks
	recalled map[string]string // id of a message that is being withdrawn -> of the request
	end      string            // command id of the End that waits for idleness
	ending   bool              // end_session was sent

	streaming string // id of the message that streams
	calls     map[string]claudeCall
	meter     claudeMeter
	trouble   claudeTrouble
	model     string // that the last init named
	plan      []claudeTodo
}

type claudeMessageState int

const (
	claudeSent      claudeMessageState = iota + 1 // written, no receipt
	claudeDelivered                               // in Claude's queue
	claudeConsumed                                // in the model's context
)

func newClaude(o Options) *claude {
	return &claude{
		opts:     o,
		messages: map[string]claudeMessageState{},
		requests: map[string]string{},
		recalled: map[string]string{},
		asks:     newAsks(o.Permissions),
		calls:    map[string]claudeCall{},
	}
}

// Process returns the command line. --add-dir takes many values, so that options
// with one value follow it. --setting-sources user keeps the repository's hooks
// and environment out and drops its CLAUDE.md too; --add-dir and
// CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD bring only that back.
func (c *claude) Process() Process {
	p := Process{
		Command: []string{
			claudeBinary, "-p",
			"--input-format", "stream-json", "--output-format", "stream-json",
			"--verbose", "--replay-user-messages", "--include-partial-messages",
			"--permission-prompt-tool", "stdio",
			"--setting-sources", "user", "--strict-mcp-config",
			"--add-dir", Workspace,
		},
		Env: []string{
			"CLAUDE_CONFIG_DIR=" + Home + "/.claude",
			"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1",
			"DISABLE_AUTOUPDATER=1",
			"DISABLE_TELEMETRY=1",
			"DISABLE_ERROR_REPORTING=1",
			"CLAUDE_CODE_MAX_RETRIES=4",
			"CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD=1",
			"CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS=1",
			"CLAUDE_CODE_DISABLE_BACKGROUND_TASKS=1",
			"IS_SANDBOX=1", // bypassPermissions as uid 0 needs it
		},
		MCP:    claudeMCPFile,
		Hosts:  c.opts.hosts(claudeAPIHost),
		Denied: []string{claudeLoginHost},
	}
	if c.opts.Permissions == nil {
		p.Command = append(p.Command, "--permission-mode", claudeBypass)
	} else {
		p.Command = append(p.Command, "--permission-mode", "default", "--settings", claudeAskedTools)
	}
	if len(c.opts.MCP) > 0 {
		p.Command = append(p.Command, "--mcp-config="+claudeMCPFile)
	}
	switch o := c.opts; {
	case o.Resume == "":
		p.Command = append(p.Command, "--session-id", o.Conversation)
	case o.Fork:
		p.Command = append(p.Command, "--resume", o.Resume, "--fork-session", "--session-id", o.Conversation)
	default:
		p.Command = append(p.Command, "--resume", o.Resume)
	}
	if c.opts.Model != "" {
		p.Command = append(p.Command, "--model", c.opts.Model)
	}
	if c.opts.BaseURL != "" {
		p.Env = append(p.Env, "ANTHROPIC_BASE_URL="+c.opts.BaseURL)
	}
	return p
}

// claudeBaseID is the id of the request for what a conversation has used before
// this session: 2.1.330 counts on from there.
const claudeBaseID = "usage-before"

// Start sends nothing to a new conversation: `initialize` is optional, and the
// first message starts the session.
func (c *claude) Start() Step {
	var s claudeStep
	if c.opts.Resume != "" {
		s.send(claudeControlRequest{Type: "control_request", RequestID: claudeBaseID, Request: claudeSubtype{Subtype: "get_usage"}})
	}
	return s.Step
}

func (c *claude) Idle() bool { return c.answered && c.quiet() }

// quiet reports that nothing runs and nothing waits.
func (c *claude) quiet() bool {
	return !c.turn && !c.starting && c.waiting == 0 && (c.state == "" || c.state == "idle")
}

// Do sends a command. Messages and interrupts go out at once, since Claude
// queues them; an End waits for idleness, because end_session drops the queue.
func (c *claude) Do(cmd Command) Step {
	if c.ending {
		return Step{Events: []event.Data{event.CommandFailed{Command: cmd.ID, Error: "the session is ending"}}}
	}
	var s claudeStep
	switch cmd.Kind {
	case Message:
		if c.messages[cmd.ID] != 0 {
			break // Claude would take the repetition for the same message as well
		}
		c.messages[cmd.ID] = claudeSent
		c.order = append(c.order, cmd.ID)
		c.waiting++
		s.send(claudeUserLine{
			Type: "user", Message: claudeUserMessage{Role: "user", Content: cmd.Text},
			UUID: cmd.ID, Priority: cmp.Or(cmd.Priority, Next),
		})
	case Interrupt:
		c.request(&s, cmd.ID, claudeSubtype{Subtype: "interrupt"})
	case Withdraw:
		c.withdraw(&s, cmd.ID)
	case Answer:
		c.answer(&s, cmd)
	case End:
		c.end = cmd.ID
		c.endIfQuiet(&s)
	default:
		s.add(event.CommandFailed{Command: cmd.ID, Error: "unknown kind of command: " + string(cmd.Kind)})
	}
	return s.Step
}

// request sends a control request on behalf of a command. Its id follows from
// the command's, so that a replay sends the same line.
func (c *claude) request(s *claudeStep, command string, r claudeSubtype) (id string) {
	id = r.Subtype + "-" + command
	c.requests[id] = command
	s.send(claudeControlRequest{Type: "control_request", RequestID: id, Request: r})
	return id
}

func (c *claude) endIfQuiet(s *claudeStep) {
	if c.end == "" || c.ending || !c.quiet() {
		return
	}
	c.ending = true
	if slices.ContainsFunc(c.background, func(t claudeTask) bool { return t.Type == claudeShellTask }) {
		s.add(event.Notice{Kind: "warning", Text: "background commands of the agent end with the session"})
	}
	c.request(s, c.end, claudeSubtype{Subtype: "end_session"})
}

// Line decodes one line of stdout.
func (c *claude) Line(line []byte) Step {
	var s claudeStep
	c.line(&s, line)
	if s.flaw != "" {
		s.add(event.Unparsed{Reason: s.flaw})
	}
	c.endIfQuiet(&s)
	if len(s.Events) == 0 {
		s.add(event.Unparsed{Reason: "no meaning found"})
	}
	return s.Step
}

// receive notes that a message has reached Claude's queue. A second time means
// that an interrupted turn gave it back: the model has to see it again.
func (c *claude) receive(s *claudeStep, id string) bool {
	switch c.messages[id] {
	case claudeSent:
		s.add(event.CommandDelivered{Command: id})
	case claudeConsumed:
		c.waiting++
	default:
		return false
	}
	c.messages[id] = claudeDelivered
	return true
}

// consume notes that the model has seen a message, and reports whether that is
// news.
func (c *claude) consume(s *claudeStep, id string) bool {
	switch c.messages[id] {
	case claudeSent, claudeDelivered:
		c.messages[id] = claudeConsumed
		c.waiting--
		s.add(event.CommandConsumed{Command: id})
		return true
	}
	return false
}

// drop notes that Claude gave a message up before the model saw it.
func (c *claude) drop(s *claudeStep, id, state string) bool {
	if m := c.messages[id]; m != claudeSent && m != claudeDelivered {
		return false
	}
	delete(c.messages, id)
	c.waiting--
	c.answered = true
	if c.recalled[id] != "" {
		s.add(event.CommandWithdrawn{Command: id})
	} else {
		s.add(event.CommandFailed{Command: id, Error: "the agent " + state + " the message"})
	}
	return true
}

func (c *claude) consumeAll(s *claudeStep, ids []string) {
	for _, id := range slices.Compact(ids) {
		c.consume(s, id)
	}
}

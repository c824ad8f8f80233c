package agent

import (
	"cmp"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// codex drives `codex app-server`: JSON-RPC with one message per line, and
// without the "jsonrpc" member in what the server sends.
//
//	> initialize            < response (version)
//	> initialized
//	> thread/start          < response (thread id, model): messages can go out;
//	                        thread/resume or thread/fork for an earlier conversation
//	> turn/start            < response (turn id), then notifications
//	> turn/steer            < response; the ack is an item/started userMessage
//	                        < turn/completed: every end of a turn
//
// Facts were measured with Codex 0.169.0 against a scripted model API.
type codex struct {
	o       Options
	phase   codexPhase
	version string
	model   string
	thread  string // the session's own thread; agents that it spawns have others

	turn        string // the running turn; empty when none is known to run
	begun       bool   // turn/started came: it can be interrupted
	ended       string // the last turn that ended: its response may come late
	endedStatus string
	noSteer     string // the turn that takes no messages (a compaction's)
	starting    bool   // a turn/start waits for its response
	steering    int    // turn/steer requests that wait for theirs

	lastID int64
	calls  map[int64]codexCall
	lastNo int
	held   []*codexMessage // to be sent: by priority, then by number
	taken  []*codexMessage // accepted for the turn, not yet seen by the model
	stops  []string        // interrupts that wait for a turn to run
	sent   []string        // interrupts that the running turn has received
	broken string          // the last turn that we interrupt for a message
	end    string          // the End that waits for idleness
	gone   bool            // Terminate was asked for

	text    string // last message of the agent in this turn
	failure *codexTurnError
	usage   map[string]codexUsage // by thread
	limits  []codexLimit
	items   codexItems
	asks    asks
	parents map[string]string // thread of a spawned agent -> call that spawned it
	goal    string            // as it was shown

	goalActive bool // the thread has a goal that is not reached
}

const codexBinary = "/opt/ratchetai/codex/bin/codex"

// codexPhase is how far the handshake is.
type codexPhase int

const (
	codexStarting codexPhase = iota // initialize or the thread wait for their response
	codexReady                      // turns can start
	codexFailed                     // the handshake was refused: nothing will ever run
)

// codexMessage is a message on its way to the model.
type codexMessage struct {
	no        int // order of arrival
	id, text  string
	priority  Priority
	urgent    bool   // Now, and the turn that ran when it came has not ended
	turn      string // the turn that accepted it
	opener    bool   // the turn was started by it
	restart   bool   // the turn that it was meant for has ended: start another
	delivered bool
	consumed  bool
}

// codexCall is a request of ours that waits for its response.
type codexCall struct {
	method  string
	message *codexMessage
	command string // of an interrupt
	turn    string // the turn that ran when it was sent
}

func newCodex(o Options) Adapter {
	return &codex{
		o:       o,
		calls:   map[int64]codexCall{},
		usage:   map[string]codexUsage{},
		parents: map[string]string{},
		items:   newCodexItems(),
		asks:    newAsks(o.Permissions),
	}
}

// Process returns the app-server's command line. The login is the auth.json in
// CODEX_HOME: the server ignores OPENAI_API_KEY and CODEX_API_KEY.
func (c *codex) Process() Process {
	argv := []string{
		codexBinary, "app-server",
		// Without a network it would wait for ever.
		"--disable", "unbounded_connection_retries",
		// They call hosts that a session does not need.
		"--disable", "plugins", "--disable", "apps", "--disable", "remote_plugin",
		"-c", "analytics.enabled=false",
		// thread/start with a writable sandbox trusts the project by itself,
		// and then runs what the repository's .codex/config.toml names.
		"-c", `projects={"` + Workspace + `"={trust_level="untrusted"}}`,
	}
	if c.o.Attended { // the tool to ask with; without it the model does not ask
		argv = append(argv, "--enable", "default_mode_request_user_input", "-c", "suppress_unstable_features_warning=true")
	}
	if c.o.BaseURL != "" {
		argv = append(argv, "-c", "openai_base_url="+string(codexEncode(c.o.BaseURL)))
	}
	return Process{
		Command: argv,
		Env:     []string{"CODEX_HOME=" + Home + "/.codex"},
		Hosts:   c.o.hosts("chatgpt.com", "api.openai.com"),
		Denied:  []string{"auth.openai.com"},
		// The system's configuration: the server writes into its home's.
		MCP: "/etc/codex/config.toml",
	}
}

// Start sends initialize, whose response starts the thread.
func (c *codex) Start() Step {
	var s codexStep
	c.request(&s, "initialize", codexInitialize{
		ClientInfo: codexClientInfo{Name: "ratchetai-runner", Title: "ratchetai-runner", Version: "1"},
	}, codexCall{})
	return s.Step
}

// Idle reports that no turn runs, starts or waits to be started.
func (c *codex) Idle() bool {
	switch c.phase {
	case codexFailed:
		return true
	case codexReady:
		return c.turn == "" && !c.starting && c.steering == 0 && len(c.held) == 0 && !c.goalDue()
	}
	return false
}

// goalDue reports that Codex starts the next turn by itself, as it does after a
// completed one while a goal is active.
func (c *codex) goalDue() bool { return c.goalActive && c.endedStatus == "completed" }

// Do takes a command. Messages become turn/start or turn/steer, as the state of
// the turn demands when their time comes.
func (c *codex) Do(cmd Command) Step {
	var s codexStep
	switch {
	case cmd.Kind == End:
		// Before the check for a dead session: that one has to end as well.
		if c.end == "" {
			c.end = cmd.ID
			c.dropLater(&s)
		}
	case c.gone || c.phase == codexFailed:
		s.fail(cmd.ID, "the session has ended")
	case cmd.Kind == Message:
		c.lastNo++
		c.hold(&codexMessage{
			no: c.lastNo, id: cmd.ID, text: cmd.Text, priority: cmp.Or(cmd.Priority, Next), urgent: cmd.Priority == Now,
		})
	case cmd.Kind == Withdraw:
		c.withdraw(&s, cmd.ID)
	case cmd.Kind == Answer:
		c.answer(&s, cmd)
	case cmd.Kind == Interrupt && (c.turn != "" || c.starting || len(c.held) > 0):
		c.stops = append(c.stops, cmd.ID)
	case cmd.Kind == Interrupt:
		s.fail(cmd.ID, "no turn is running")
	default:
		s.fail(cmd.ID, "unknown kind of command: "+string(cmd.Kind))
	}
	c.advance(&s)
	return s.Step
}

// advance sends whatever the state allows by now.
func (c *codex) advance(s *codexStep) {
	for c.phase == codexReady && len(c.held) > 0 && !c.starting {
		m := c.held[0]
		if c.mustWait(m) {
			break
		}
		c.held = c.held[1:]
		if c.turn == "" || m.restart {
			c.startTurn(s, m)
		} else {
			c.steerTurn(s, m)
		}
	}
	if c.turn != "" && c.begun {
		c.breakOff(s)
		for _, id := range c.stops {
			c.request(s, "turn/interrupt", codexInterrupt{ThreadID: c.thread, TurnID: c.turn},
				codexCall{command: id, turn: c.turn})
		}
		c.stops = nil
	}
	if c.end != "" && !c.gone && c.Idle() {
		c.gone = true
		s.Terminate = true
		s.add(event.CommandDelivered{Command: c.end})
	}
}

func (c *codex) startTurn(s *codexStep, m *codexMessage) {
	c.starting = true
	c.request(s, "turn/start", codexTurnStart{
		ThreadID: c.thread, Input: codexText(m.text), ClientUserMessageID: m.id,
	}, codexCall{message: m, turn: c.turn})
}

func (c *codex) steerTurn(s *codexStep, m *codexMessage) {
	c.steering++
	c.request(s, "turn/steer", codexTurnSteer{
		ThreadID: c.thread, ExpectedTurnID: c.turn, Input: codexText(m.text), ClientUserMessageID: m.id,
	}, codexCall{message: m, turn: c.turn})
}

func (c *codex) request(s *codexStep, method string, params any, call codexCall) {
	c.lastID++
	call.method = method
	c.calls[c.lastID] = call
	s.send(codexRequest{ID: c.lastID, Method: method, Params: params})
}

// codexStep is a Step that is being filled.
type codexStep struct{ Step }

func (s *codexStep) add(events ...event.Data) { s.Events = append(s.Events, events...) }

func (s *codexStep) fail(command, text string) {
	s.add(event.CommandFailed{Command: command, Error: text})
}

func (s *codexStep) send(v any) {
	if line := codexEncode(v); line != nil {
		s.Send = append(s.Send, line)
	}
}

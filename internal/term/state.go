package term

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// state is what is known about the session from its events so far.
type state struct {
	started  bool
	start    time.Time // of the first event
	phase    string    // what the agent does while no tool runs
	usage    event.Usage
	tools    []tool                      // that run, oldest first
	withdraw string                      // id of the last withdrawal
	queued   map[string]string           // commands that the agent has not taken up: id -> text
	prompted bool                        // the first message has been shown
	streamed map[string]*strings.Builder // message id -> what was shown of it
	denied   []string                    // destinations, each once
	denials  map[string]int
	changed  int                  // guarded paths
	limits   map[string]string    // window -> the status that was shown
	windows  []event.LimitUpdated // the newest of each window
	problem  string               // the last turn's error, as it was shown
	plan     string               // as it was shown
	asks     map[string]asked     // that are open
}

type tool struct {
	call, label, title string
	started            time.Time
	kind               event.ToolKind
	sub                bool // a subagent's, which may outlive the turn
}

func (s *state) init() {
	s.phase = "starting"
	s.queued = make(map[string]string)
	s.streamed = make(map[string]*strings.Builder)
	s.denials = make(map[string]int)
	s.limits = make(map[string]string)
	s.asks = make(map[string]asked)
}

// take removes the tool of a call from those that run.
func (s *state) take(call string) (tool, bool) {
	i := slices.IndexFunc(s.tools, func(t tool) bool { return t.call == call })
	if i < 0 {
		return tool{call: call, label: "tool"}, false
	}
	t := s.tools[i]
	s.tools = slices.Delete(s.tools, i, i+1)
	return t, true
}

// doing says in a few words what the session does, in at most width cells: of a
// tool, the title is cut first.
func (s *state) doing(now time.Time, width int) string {
	if s.asking() > 0 {
		return fit("waits for an answer", width)
	}
	if len(s.tools) == 0 {
		return fit(s.phase, width)
	}
	t := s.tools[len(s.tools)-1]
	end := " " + seconds(now.Sub(t.started))
	if n := len(s.tools) - 1; n > 0 {
		end += fmt.Sprintf(" (+%d)", n)
	}
	text := t.label
	if t.title != "" {
		text += " " + t.title
	}
	return fit(fit(text, max(width-cells(end), 1))+end, width)
}

// label names a tool for people. The vendors have many names for the same.
func label(kind event.ToolKind, name string) string {
	switch kind {
	case event.KindOther, "":
		return fit(Line(name), 30)
	case event.KindSubagent:
		return "agent"
	}
	return Line(string(kind))
}

// setUsage keeps a cost that only some events state.
func (s *state) setUsage(u event.Usage) {
	if u.CostMicroUSD == 0 {
		u.CostMicroUSD, u.CostBy = s.usage.CostMicroUSD, s.usage.CostBy
	}
	s.usage = u
}

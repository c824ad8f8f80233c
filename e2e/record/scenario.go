package main

import (
	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// stream names a kind of stdout: which agent, and which of its protocols. The
// recordings of each have a directory and a file of shapes.
type stream string

const (
	claudeStream stream = "claude"       // stream-json on both sides, as the runner drives it
	claudePrint  stream = "claude-print" // claude -p PROMPT --output-format stream-json
	codexStream  stream = "codex"        // codex app-server, as the runner drives it
	codexExec    stream = "codex-exec"   // codex exec --json PROMPT
)

func streams() []stream { return []stream{claudeStream, claudePrint, codexStream, codexExec} }

// kind is the agent whose stdout it is.
func (s stream) kind() agent.Kind {
	if s == codexStream || s == codexExec {
		return agent.Codex
	}
	return agent.Claude
}

// plain reports a stream that nobody answers: its agent takes no stdin.
func (s stream) plain() bool { return s == claudePrint || s == codexExec }

// scenario is one recording: what the model says, and what the person does.
type scenario struct {
	name   string
	stream stream
	prompt string                     // empty: defaultPrompt
	turns  []modelapi.Turn            // of the session
	marked map[string][]modelapi.Turn // of subagents, by the [[mark]] in their prompt
	args   []string                   // added to the agent's command line
	env    []string                   // added to its environment
	files  map[string]string          // in the workspace
	home   map[string]string          // in the agent's home
	steps  []step                     // after the prompt
	oauth  bool                       // with a subscription's token instead of an API key
}

// defaultPrompt is what a person says when a scenario does not care.
const defaultPrompt = "Do what the script says."

// step is something that the person does: when the agent is idle (the zero on)
// or the nth time since the last step that an event of type on came.
type step struct {
	on   event.Type
	nth  int // 0 means 1
	kind agent.CommandKind
	text string
}

// say is a message once the agent is idle.
func say(text string) step { return step{kind: agent.Message, text: text} }

// during is a message while the agent works: at the first event of type on.
func during(on event.Type, text string) step {
	return step{on: on, kind: agent.Message, text: text}
}

// stop interrupts at the first event of type on.
func stop(on event.Type) step { return step{on: on, kind: agent.Interrupt} }

func scenarios() []scenario {
	var all []scenario
	for _, list := range [][]scenario{claudeScenarios(), claudePrintScenarios(), codexScenarios(), codexExecScenarios()} {
		all = append(all, list...)
	}
	return all
}

package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// AskKind says what an ask is about.
type AskKind string

// The kinds of asks.
const (
	AskPermission AskKind = "permission" // may this tool call run?
	AskQuestion   AskKind = "question"   // the agent wants to know something
	AskForm       AskKind = "form"       // an MCP server wants data
)

// Decision is one way to answer an ask.
type Decision string

// The decisions. Allowing a question or a form means answering it.
const (
	DecideAllow   Decision = "allow"
	DecideSession Decision = "allow_session" // this and the same again, until the session ends
	DecideDeny    Decision = "deny"          // the agent goes on without
	DecideStop    Decision = "stop"          // deny, and interrupt the turn
)

// DecideAlways is DecideSession, and a rule that lasts. It is for those who pass answers on
// to a session, which itself knows DecideSession only.
const DecideAlways Decision = "allow_always"

// Who decided, besides the person.
const (
	ByPerson  = "person"
	ByPolicy  = "policy"  // a rule, or that nobody can answer in this session
	ByTimeout = "timeout" // the runner, when the ask's time was over
)

// AskOpened is a question that the session waits for, with all that a person needs
// to decide. What it shows comes from the tool call, not from what the agent says
// about it. An ask that a policy answers follows with its AskAnswered at once and has
// no Default.
//
//	{"ask":"5ebe…","kind":"permission","tool":"Bash","tool_kind":"shell","title":"rm -rf build","command":"rm -rf build",
//	 "options":["allow","allow_session","deny","stop"],"default":"deny","expires_at":"2026-11-25T16:10:00Z"}
type AskOpened struct {
	Ask      string   `json:"ask"`
	Kind     AskKind  `json:"kind"`
	Call     string   `json:"call,omitempty"` // the tool call's id, where it is known
	Tool     string   `json:"tool,omitempty"`
	ToolKind ToolKind `json:"tool_kind,omitempty"`
	Title    string   `json:"title,omitempty"` // one line: the command, the path, the question
	Command  string   `json:"command,omitempty"`
	Cwd      string   `json:"cwd,omitempty"`
	Paths    []string `json:"paths,omitempty"`
	Host     string   `json:"host,omitempty"`
	Diff     string   `json:"diff,omitempty"` // lines that begin with +, - or a blank
	// Input is what the tool is called with, as its vendor has it.
	Input     json.RawMessage `json:"input,omitempty"`
	Questions []Question      `json:"questions,omitempty"` // of a question
	Schema    json.RawMessage `json:"schema,omitempty"`    // of a form: JSON Schema of the answer's Input
	// Cut says that Command, Diff or Input were too long to be shown whole.
	Cut      bool       `json:"cut,omitempty"`
	Editable bool       `json:"editable,omitempty"` // an answer may bring another Input
	Options  []Decision `json:"options,omitempty"`
	// Default is what happens at ExpiresAt (RFC 3339) if nobody answers.
	Default   Decision `json:"default,omitempty"`
	ExpiresAt string   `json:"expires_at,omitempty"`
}

// Question is one question of an ask.
type Question struct {
	ID       string   `json:"id"`
	Header   string   `json:"header,omitempty"`
	Text     string   `json:"text"`
	Options  []Choice `json:"options,omitempty"` // free text is possible as well
	Multiple bool     `json:"multiple,omitempty"`
}

// Choice is one answer that a question offers.
type Choice struct {
	Label       string `json:"label"`
	Description string `json:"description,omitempty"`
}

// Answer is what was decided about an ask: the content of a command "answer".
//
//	{"ask":"5ebe…","decision":"deny","message":"use git clean instead"}
type Answer struct {
	Ask      string   `json:"ask"`
	Decision Decision `json:"decision"`
	Message  string   `json:"message,omitempty"` // why not, for the agent
	// Input replaces what the tool is called with, or fills in a form.
	Input   json.RawMessage     `json:"input,omitempty"`
	Answers map[string][]string `json:"answers,omitempty"` // to a question: by its id, labels or free text
	By      string              `json:"by,omitempty"`
}

// Check says whether a is an answer to o.
func (a Answer) Check(o AskOpened) error {
	allows := a.Decision == DecideAllow || a.Decision == DecideSession
	switch {
	case !slices.Contains(o.Options, a.Decision):
		return fmt.Errorf("decision %q is none of %q", a.Decision, o.Options)
	case len(a.Input) > 0 && !allows, len(a.Answers) > 0 && !allows:
		return fmt.Errorf("decision %q takes a message only", a.Decision)
	case a.Message != "" && allows:
		return errors.New("a message goes with a denial; send it to the agent instead")
	case len(a.Input) > 0 && o.Kind != AskForm && !o.Editable:
		return errors.New("the arguments of this call cannot be edited: deny it with a message instead")
	case len(a.Input) > 0 && !isObject(a.Input):
		return errors.New("the input is no JSON object")
	case len(a.Input) == 0 && o.Kind == AskForm && allows:
		return errors.New("a form is answered with an input")
	case o.Kind == AskQuestion && allows:
		return a.checkAnswers(o.Questions)
	case len(a.Answers) > 0:
		return errors.New("only a question takes answers")
	}
	return nil
}

func (a Answer) checkAnswers(questions []Question) error {
	for id := range a.Answers {
		if !slices.ContainsFunc(questions, func(q Question) bool { return q.ID == id }) {
			return fmt.Errorf("there is no question %q", id)
		}
	}
	for _, q := range questions {
		switch n := len(a.Answers[q.ID]); {
		case n == 0:
			return fmt.Errorf("question %q has no answer", q.ID)
		case n > 1 && !q.Multiple:
			return fmt.Errorf("question %q takes one answer", q.ID)
		}
	}
	return nil
}

func isObject(data json.RawMessage) bool {
	var o map[string]json.RawMessage
	return json.Unmarshal(data, &o) == nil && o != nil
}

// AskAnswered closes an ask.
type AskAnswered struct {
	Ask      string   `json:"ask"`
	Decision Decision `json:"decision"`
	By       string   `json:"by"`
	Rule     int      `json:"rule,omitempty"`    // of a policy: which of its rules, from 1
	Command  string   `json:"command,omitempty"` // the command that brought the answer
	Message  string   `json:"message,omitempty"`
	Edited   bool     `json:"edited,omitempty"` // the call runs with other arguments than it asked for
}

// AskExpired closes an ask that nobody answered.
type AskExpired struct {
	Ask    string `json:"ask"`
	Reason string `json:"reason"` // "timeout", or "withdrawn" by the agent
	// Decision is the default that applied; empty for one that was withdrawn.
	Decision Decision `json:"decision,omitempty"`
	Command  string   `json:"command,omitempty"`
}

// Why an ask expired.
const (
	ExpiredTimeout   = "timeout"
	ExpiredWithdrawn = "withdrawn"
)

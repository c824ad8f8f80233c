package agent

import (
	"bytes"
	"encoding/json"
	"errors"
)

// What the adapter sends.

type codexRequest struct {
	ID     int64  `json:"id"`
	Method string `json:"method"`
	Params any    `json:"params,omitempty"`
}

type codexNotification struct {
	Method string `json:"method"`
}

// codexReply answers a request of the server's. Exactly one of Result and Error
// is set.
type codexReply struct {
	ID     json.RawMessage `json:"id"`
	Result any             `json:"result,omitempty"`
	Error  *codexRPCError  `json:"error,omitempty"`
}

type codexClientInfo struct {
	Name    string `json:"name"`
	Title   string `json:"title"`
	Version string `json:"version"`
}

type codexInitialize struct {
	ClientInfo codexClientInfo `json:"clientInfo"`
}

// codexThread starts a thread, or with ThreadID goes on with one.
type codexThread struct {
	ThreadID              string `json:"threadId,omitempty"`
	ExcludeTurns          bool   `json:"excludeTurns,omitempty"`
	Cwd                   string `json:"cwd"`
	Model                 string `json:"model,omitempty"`
	ApprovalPolicy        string `json:"approvalPolicy"`
	Sandbox               string `json:"sandbox"`
	DeveloperInstructions string `json:"developerInstructions,omitempty"`
}

type codexTurnStart struct {
	ThreadID            string       `json:"threadId"`
	Input               []codexInput `json:"input"`
	ClientUserMessageID string       `json:"clientUserMessageId"`
}

type codexTurnSteer struct {
	ThreadID            string       `json:"threadId"`
	ExpectedTurnID      string       `json:"expectedTurnId"`
	Input               []codexInput `json:"input"`
	ClientUserMessageID string       `json:"clientUserMessageId"`
}

type codexInterrupt struct {
	ThreadID string `json:"threadId"`
	TurnID   string `json:"turnId"`
}

type codexInput struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

func codexText(text string) []codexInput { return []codexInput{{Type: "text", Text: text}} }

// What the server sends.

// codexLine is any line: a notification has a method, a request a method and an
// id, a response an id only.
type codexLine struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *codexRPCError  `json:"error"`
}

type codexRPCError struct {
	Code    int64           `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// codexScope is in the params of nearly every notification.
type codexScope struct {
	ThreadID string `json:"threadId"`
	TurnID   string `json:"turnId"`
}

type codexTurn struct {
	ID         string          `json:"id"`
	Status     string          `json:"status"`
	Error      *codexTurnError `json:"error"`
	DurationMS int64           `json:"durationMs"`
}

type codexTurnError struct {
	Message string          `json:"message"`
	Info    json.RawMessage `json:"codexErrorInfo"`
	Details string          `json:"additionalDetails"`
}

type codexTokens struct {
	Input      int64 `json:"inputTokens"`
	Cached     int64 `json:"cachedInputTokens"`
	CacheWrite int64 `json:"cacheWriteInputTokens"`
	Output     int64 `json:"outputTokens"`
	Reasoning  int64 `json:"reasoningOutputTokens"`
}

type codexWindow struct {
	UsedPercent *float64 `json:"usedPercent"`
	Minutes     int64    `json:"windowDurationMins"`
	ResetsAt    int64    `json:"resetsAt"` // Unix seconds
}

// codexItem has the fields of all kinds of items, as far as they are used.
type codexItem struct {
	Type             string          `json:"type"`
	ID               string          `json:"id"`
	Status           string          `json:"status"`
	Text             string          `json:"text"`     // agentMessage, plan
	ClientID         string          `json:"clientId"` // userMessage
	Content          json.RawMessage `json:"content"`  // userMessage: inputs; reasoning: strings
	Summary          []string        `json:"summary"`  // reasoning
	Command          string          `json:"command"`  // commandExecution
	Cwd              string          `json:"cwd"`
	AggregatedOutput string          `json:"aggregatedOutput"`
	ExitCode         *int            `json:"exitCode"`
	DurationMS       int64           `json:"durationMs"`
	Changes          []codexChange   `json:"changes"` // fileChange
	Server           string          `json:"server"`  // mcpToolCall
	Tool             string          `json:"tool"`    // and dynamicToolCall, collabAgentToolCall
	Namespace        string          `json:"namespace"`
	Arguments        json.RawMessage `json:"arguments"`
	Result           json.RawMessage `json:"result"`
	Error            *codexRPCError  `json:"error"`
	Success          *bool           `json:"success"` // dynamicToolCall
	ContentItems     json.RawMessage `json:"contentItems"`
	Query            string          `json:"query"`  // webSearch
	Action           json.RawMessage `json:"action"` // webSearch
	Path             string          `json:"path"`   // imageView
	Prompt           string          `json:"prompt"` // collabAgentToolCall
	Receivers        []string        `json:"receiverThreadIds"`
	AgentPath        string          `json:"agentPath"` // subAgentActivity
	AgentThreadID    string          `json:"agentThreadId"`
	Kind             string          `json:"kind"`
	Name             string          `json:"name"`   // functionCallOutput
	Output           json.RawMessage `json:"output"` // functionCallOutput
	Review           string          `json:"review"`
	Fragments        []codexInput    `json:"fragments"` // hookPrompt
}

type codexChange struct {
	Path string `json:"path"`
	Kind struct {
		Type     string `json:"type"`
		MovePath string `json:"move_path,omitempty"`
	} `json:"kind"`
	Diff string `json:"diff"`
}

// codexDecode decodes as much of data as fits v. A field of an unexpected type
// is left out, so that a new version's change of one field does not hide the
// rest.
func codexDecode(data []byte, v any) error {
	err := json.Unmarshal(data, v)
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		return nil
	}
	return err
}

// codexEncode returns v as one line without HTML escapes, or nil if v holds a
// broken RawMessage.
func codexEncode(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(v) != nil {
		return nil
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

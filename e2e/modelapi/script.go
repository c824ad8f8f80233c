package modelapi

import (
	"net/http"
	"time"
)

// Turn is the answer to one request. The zero value is an empty reply that ends
// the agent's turn. Combine parts in one reply with [Turn.With].
type Turn struct {
	Thinking string        // shown as a thinking block (Claude) or reasoning summary (Codex)
	Search   string        // a web search that the vendor's API does by itself before the text
	Text     string        // what the model says before it calls tools
	Calls    []Call        // tools it calls in the same reply; none ends the agent's turn
	Usage    Usage         // tokens to report; zero means 1000 in, 50 out
	Status   int           // an HTTP error instead of a reply; 0 means 200
	Header   http.Header   // added to the answer, over what the vendor's error has
	Code     string        // vendor error code in the body; "" takes the usual one of Status
	Delay    time.Duration // wait before the status line
	Pause    time.Duration // wait after every chunk of text
	Chunk    int           // bytes of text per delta, 0 means 16 KiB; characters stay whole
	Hang     time.Duration // after the first half of the text: silence, then the rest
	Cut      bool          // close the connection after the first half of the text
	Times    int           // how many requests take this turn: 0 means one, negative means all
}

// Call is one tool call. Exactly one of Shell, Path, Question and Name is set;
// Server goes with Name.
type Call struct {
	Shell    string   // a command for the agent's shell tool
	Path     string   // a file to write; relative means relative to the agent's directory
	Content  string   // what the file holds; Codex ends it with a newline if it has none
	Question string   // a question to the person
	Options  []string // the question's answers, two to four
	Name     string   // a tool by the vendor's name, or one of Server's
	Server   string   // an MCP server
	Input    any      // its input as JSON; a string goes to a Codex custom tool as it is
}

// Usage is what a reply claims to have cost, in tokens.
type Usage struct {
	Input     int // without what came from the cache
	CacheRead int
	Output    int
}

// Text is a reply that says text and ends the agent's turn.
func Text(text string) Turn { return Turn{Text: text} }

// TextBytes is a reply of exactly n bytes with two-, three- and four-byte
// characters, for tests of long lines.
func TextBytes(n int) Turn { return Turn{Text: filler(n)} }

// Shell calls the agent's shell tool.
func Shell(command string) Turn { return Turn{Calls: []Call{{Shell: command}}} }

// WriteFile writes a file: Claude's Write, Codex's apply_patch.
func WriteFile(path, content string) Turn {
	return Turn{Calls: []Call{{Path: path, Content: content}}}
}

// Ask puts a question to the person: Claude's AskUserQuestion, Codex's request_user_input.
func Ask(question string, options ...string) Turn {
	return Turn{Calls: []Call{{Question: question, Options: options}}}
}

// Tool calls a tool by the vendor's own name, offered or not. Codex finds some tools
// only by "namespace/name", such as those of MCP servers that it does not list.
func Tool(name string, input any) Turn { return Turn{Calls: []Call{{Name: name, Input: input}}} }

// MCP calls a tool of an MCP server, offered or not.
func MCP(server, tool string, input any) Turn {
	return Turn{Calls: []Call{{Server: server, Name: tool, Input: input}}}
}

// HTTPError answers with the vendor's error body for status. Agents retry some
// of them, and each try takes a turn: see [Turn.Repeat].
func HTTPError(status int) Turn { return Turn{Status: status} }

// UsageLimit answers as the vendor does when a subscription is used up until
// resetsAt: 429 with Claude's "rejected" headers, or Codex's usage_limit_reached.
func UsageLimit(resetsAt time.Time) Turn {
	return Turn{Status: http.StatusTooManyRequests, Code: codeUsageLimit, Header: limitHeader(resetsAt)}
}

// Hang starts a reply, is silent for d (or until the agent hangs up), then ends it.
func Hang(d time.Duration) Turn { return Turn{Text: "thinking it over", Hang: d} }

// Cut starts a reply and closes the connection in the middle of it. Both agents
// ask again, which takes the next turn.
func Cut() Turn { return Turn{Text: "this reply is cut in the middle", Cut: true} }

// With adds the thinking, search, text and calls of more to t: one reply does all of it.
func (t Turn) With(more Turn) Turn {
	t.Thinking += more.Thinking
	t.Search += more.Search
	t.Text += more.Text
	t.Calls = append(append([]Call(nil), t.Calls...), more.Calls...)
	return t
}

// Repeat makes n requests take this turn, or all further ones when n is negative.
func (t Turn) Repeat(n int) Turn { t.Times = n; return t }

// After makes the reply start d late.
func (t Turn) After(d time.Duration) Turn { t.Delay = d; return t }

// Slowly sends the text in pieces of chunk bytes and waits pause after each.
func (t Turn) Slowly(chunk int, pause time.Duration) Turn {
	t.Chunk, t.Pause = chunk, pause
	return t
}

func (t Turn) usage() Usage {
	if t.Usage == (Usage{}) {
		return Usage{Input: 1000, Output: 50}
	}
	return t.Usage
}

// Package modelapi is a scripted stand-in for the model APIs that Claude Code
// and Codex talk to. The demo and the end-to-end tests start the real agent
// binaries against it, so that everything but the model itself is the real
// thing, nothing leaves the machine and every run gives the same events.
//
// A script is a list of [Turn] values. Each request that an agent makes on
// behalf of its conversation takes the next one:
//
//	api, err := modelapi.New(modelapi.Text("hello"))            // the default script
//	api.Script("sk-fake-1",                                     // the script of one token
//		modelapi.Text("I will look.").With(modelapi.Shell("ls")),
//		modelapi.WriteFile("notes.txt", "hi\n"),
//		modelapi.HTTPError(529).Repeat(2),                  // the agent retries
//		modelapi.Text("done"))
//	// ANTHROPIC_BASE_URL=api.URL(), or codex -c openai_base_url='"'+api.URL()+'/v1"'
//
// The flow of one request:
//
//	agent -> ServeHTTP -> record -> which conversation? -> next Turn -> anthropic.go | openai.go -> SSE
//
// Turns say what the model does, not how a vendor spells it. Shell becomes
// Claude's Bash, Codex's exec_command, or a line of JavaScript for the Codex
// models that only have the exec tool; the tools that the request offers decide.
//
// Which script a request belongs to is decided by the first of these that has
// one: its conversation id (Claude's session id, Codex's thread id), a marker
// [[key]] anywhere in its first request, its token (x-api-key or Bearer). A script
// with a key is used up once, by all its requests together. Any other conversation
// plays the default script from its start. A subagent is a conversation of its own:
// mark its prompt, or it takes turns of its parent's token. Requests that the agents
// make on the side, such as for a title, get a short fixed answer and take no turn.
// A script that is used up answers "(end of script)" for ever.
//
// How often an agent asks again decides how often an error must be repeated.
// Claude: 400 five times, each with fewer features; 401, 429, 500 and 529 as often
// as CLAUDE_CODE_MAX_RETRIES says; 403 never. Codex: 400 never, 429 five times but
// only with a Retry-After, 401, 403 and 404 five times (6 s), 500 and 529
// twenty-nine times (28 s). Repeat(-1) is safe.
//
// Any token is accepted, except that those of [Server.ClaudeLogin] and
// [Server.CodexLogin] end and can be renewed. A [Front] has the vendors' names.
//
// Not here: real models, websockets (answered 426, upon which Codex falls back to
// HTTP at once), and a judgement of what the agent sent: tests read [Server.Requests].
//
// Shapes were taken from the requests of Claude Code 2.1.330 and Codex 0.169.0.
package modelapi

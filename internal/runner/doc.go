// Package runner executes sessions: it joins a sandbox, an adapter and a journal,
// and ends a session in exactly one outcome.
//
//	sandbox stdout -> line -> redact -> adapter -> events -> journal -> followers
//	command -> journal -> adapter -> sandbox stdin
//
// One lock per session orders both: what the adapter sees is journalled in the
// order in which it sees it, before anything that follows from it is sent. A
// runner that takes over (Attach) replays the journal through a fresh adapter,
// which yields the same stdin lines; package sandbox drops those that arrived.
// So a session loses nothing and repeats nothing, whenever its runner dies.
//
// The package does not print, does not know flags, and asks nobody: what a
// person decides comes in as a command.
package runner

// GCPercent is the collector's setting for a process that runs sessions. Little of
// their memory lives long, and a heap this small is collected so fast that more
// room for it saves no processor time.
const GCPercent = 25

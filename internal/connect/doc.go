// Package connect is the runner's side of a control plane: it takes leases, runs their
// sessions, and reports what happens.
//
//	control plane <-- sync (long poll): state of everything --- one goroutine
//	              --- leases, commands, what to stop --------> work, one for each session
//	                                                             ├ run: image, hooks, runner.Start or Attach, end
//	              <-- events, artifacts ----------------------- └ uploader: follows the journal
//
// Nothing is held in memory alone. A lease is on disk (sessions/ID/lease.json) before the
// control plane hears that it is accepted, a command is in the session's journal before it is
// acknowledged, and a session's events stay in the journal until all of them are stored
// elsewhere. So a daemon that is killed at any moment and starts again goes on where it was:
// it takes its sessions over, uploads the rest, and reports them in its first sync.
//
// The control plane is believed as far as the runner's owner allows: it names workspaces and
// never paths, and what it asks for beyond Config's bounds is declined, in words.
package connect

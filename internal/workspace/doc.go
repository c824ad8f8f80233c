// Package workspace protects the host from what an agent leaves in the
// directory that it works in.
//
//	New       a look at the guarded paths: what to mount read-only, what to hold
//	Bind      a path that is to be seen elsewhere: read-only if it is guarded
//	Hold      makes directories for those that are absent; Release removes them
//	Take      what all guarded paths hold, at the start and at the end
//	Compare   what differs: a change for a person to look at
//
// Some names in a directory are run or trusted by tools of the host as soon as
// somebody works there: git's hooks, an editor's tasks, another agent's
// settings. [Rules] is the one table of them. At the top of the workspace they
// are read-only in the sandbox. Everywhere else, and where a mount is
// impossible, a change is found by comparing snapshots.
//
// The workspace is hostile: everything is read through os.Root, so that no link
// leads out of it; only regular files are opened, and every walk has a cap.
//
// The package does not mount, does not know sessions and does not decide what a
// change means for an outcome.
package workspace

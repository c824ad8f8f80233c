package workspace

import (
	"maps"
	"slices"
)

// What happened to a guarded path.
type What string

// What can happen.
const (
	Created What = "created"
	Changed What = "changed"
	Deleted What = "deleted"
	// Unprotected: it could not be made read-only. A change of it is found.
	Unprotected What = "unprotected"
)

// Change is something about a guarded path that a person should know.
type Change struct {
	Path   string // relative to the workspace
	What   What
	Reason string // what the host does with the path
}

// Snapshot is what the guarded paths of a workspace hold. It is stored as JSON.
type Snapshot struct {
	// Tops are the paths that a rule names, wherever they are.
	Tops map[string]*Top `json:"tops"`
	// Cut says why something was left out; empty if nothing was.
	Cut string `json:"cut,omitempty"`
}

// Top is one guarded path and everything guarded in it. A directory with
// nothing in it is as good as none.
type Top struct {
	Reason string `json:"reason"`
	Git    bool   `json:"git,omitempty"` // a git directory: reasons differ by file
	// Files are fingerprints of content, mode and link target, by path.
	Files map[string]string `json:"files"`
}

// Compare returns what is different in after, by path. Something that came or
// went as a whole is one change.
func Compare(before, after Snapshot) []Change {
	var changes []Change
	for _, name := range keys(before.Tops, after.Tops) {
		b, a := before.Tops[name], after.Tops[name]
		switch {
		case b == nil:
			changes = append(changes, Change{name, Created, a.Reason})
		case a == nil:
			changes = append(changes, Change{name, Deleted, b.Reason})
		default:
			changes = append(changes, compareTop(name, b, a)...)
		}
	}
	return changes
}

func compareTop(name string, before, after *Top) []Change {
	var changes []Change
	common := false
	for _, file := range keys(before.Files, after.Files) {
		b, was := before.Files[file]
		a, is := after.Files[file]
		c := Change{file, Changed, after.Reason}
		if after.Git {
			c.Reason = gitReason(file)
		}
		common = common || was && is
		switch {
		case a == b:
			continue
		case !was:
			c.What = Created
		case !is:
			c.What = Deleted
		}
		changes = append(changes, c)
	}
	if !common { // something else is in its place
		return []Change{{name, Changed, after.Reason}}
	}
	return changes
}

// keys returns the keys of both maps in order.
func keys[V any](a, b map[string]V) []string {
	all := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(all)
	return slices.Compact(all)
}

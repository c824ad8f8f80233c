package agent

import "strings"

// codexMaxChanges bounds what is kept of the changes of all open items, in bytes.
const codexMaxChanges = 16 << 20

// setChanges keeps what an open item is about to change, unless that is too much.
func (x *codexItems) setChanges(id string, changes []codexChange) {
	size := sizeOf(changes)
	for _, o := range x.open {
		size += sizeOf(o.changes)
	}
	if size > codexMaxChanges {
		return
	}
	for i := range x.open {
		if x.open[i].id == id {
			x.open[i].changes = changes
		}
	}
}

func sizeOf(changes []codexChange) (n int) {
	for _, f := range changes {
		n += 64 + len(f.Path) + len(f.Kind.Type) + len(f.Kind.MovePath) + len(f.Diff)
	}
	return n
}

// changes returns what an open item is about to change.
func (x *codexItems) changes(id string) []codexChange {
	for _, o := range x.open {
		if o.id == id {
			return o.changes
		}
	}
	return nil
}

// diff shows the change: the file's name, then lines as in a unified diff.
func (f codexChange) diff() string {
	head := "± " + f.Path
	if f.Kind.MovePath != "" {
		head += " → " + f.Kind.MovePath
	}
	switch f.Kind.Type {
	case "add":
		return head + "\n" + diffOf("", f.Diff)
	case "delete":
		return head + "\n" + diffOf(f.Diff, "")
	}
	return head + "\n" + strings.TrimSuffix(f.Diff, "\n") + "\n"
}

package agent

import "strings"

// setChanges keeps what an open item is about to change.
func (x *codexItems) setChanges(id string, changes []codexChange) {
	for i := range x.open {
		if x.open[i].id == id {
			x.open[i].changes = changes
		}
	}
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

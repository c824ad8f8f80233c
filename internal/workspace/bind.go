package workspace

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// Bind looks at name, a file or directory of the workspace that is to be mounted
// somewhere else in the sandbox, and has Verify look at it again. The mount is
// read-only, whatever readOnly says, where name is, holds or is in a guarded path:
// that is protected where it is, and has to be so wherever else it can be seen.
func (p *Plan) Bind(name string, readOnly bool) (Mount, error) {
	root, err := os.OpenRoot(p.dir)
	if err != nil {
		return Mount{}, fmt.Errorf("mount of the workspace: %w", err)
	}
	defer root.Close()
	b := planner{root: root}
	info, problem := b.solid(name)
	if problem != "" {
		return Mount{}, fmt.Errorf("%s: %s", name, problem)
	}
	m := Mount{Path: name, ReadOnly: readOnly || p.guards(name), info: info}
	p.binds = append(p.binds, m)
	return m, nil
}

// guards reports whether name is, holds or is in a guarded path. Names are compared
// without case, see names.
func (p *Plan) guards(name string) bool {
	var guarded []string
	for _, m := range p.Mounts {
		guarded = append(guarded, strings.ToLower(m.Path))
	}
	for _, path := range p.Hold {
		guarded = append(guarded, strings.ToLower(path))
	}
	for _, c := range p.Open {
		guarded = append(guarded, strings.ToLower(c.Path))
	}
	if touches(strings.ToLower(name), guarded) {
		return true
	}
	if touches(name, p.allow) {
		return false
	}
	known := newNames()
	return slices.ContainsFunc(strings.Split(name, "/"), func(part string) bool {
		_, ok := known.find(part)
		return ok
	})
}

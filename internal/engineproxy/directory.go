package engineproxy

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// directory is one of the engine's machine that sandboxes may mount.
type directory struct {
	path     string
	readOnly bool
}

func (d directory) has(m mount) bool {
	return within(m.Source, d.path) && (m.ReadOnly || !d.readOnly)
}

// within reports whether clean path is dir or in it.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// directories are those that are named and those that the runner's own container has
// mounted, which is looked up each time: it may have been made anew.
func (p *Proxy) directories(r *http.Request) ([]directory, error) {
	var all []directory
	for _, dir := range p.options.Dirs {
		all = append(all, directory{path: dir})
	}
	if p.options.MountsOf == "" {
		return all, nil
	}
	filters, err := json.Marshal(map[string]map[string]bool{"label": {p.options.MountsOf: true}})
	if err != nil {
		return nil, err
	}
	var containers []struct {
		Labels map[string]string
		Mounts []mountPoint
	}
	if err := p.ask(r, "/containers/json", url.Values{"filters": {string(filters)}}, &containers); err != nil {
		return nil, err
	}
	for _, c := range containers {
		if p.rightTo(c.Labels) != read { // a sandbox, with a label of its image
			continue
		}
		for _, m := range c.Mounts {
			if (m.Type == "bind" || m.Type == "volume") && m.Source != "" && !within(p.options.Listen, m.Destination) {
				all = append(all, directory{path: m.Source, readOnly: !m.RW})
			}
		}
	}
	return all, nil
}

// mountPoint is a mount that a container has, as the engine says it.
type mountPoint struct {
	Type, Source, Destination string
	RW                        bool
}

package devcontainer

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// mountsMax bounds the mounts that are looked at.
const mountsMax = 32

// Mount makes Source visible at Target, in the sandbox.
type Mount struct {
	Name     string // of the entry, such as mounts[0]
	Source   string // path in the workspace, relative to it; nobody has looked at it
	Target   string // absolute
	ReadOnly bool
}

// reserved are directories of the sandbox that belong to the runner, the system or
// the agent's own process, besides the workspace. /var/run leads to /run in most images.
var reserved = [...]string{
	"/home/agent", "/opt/ratchetai", "/run", "/var/run", "/etc", "/proc", "/sys", "/dev", "/tmp",
	"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
}

// mounts takes over the entries of value that stay in the workspace, and names the
// others with the reason.
func (c *Config) mounts(value json.RawMessage, folder string) error {
	var entries []json.RawMessage
	if err := json.Unmarshal(value, &entries); err != nil {
		return err
	}
	for i, entry := range entries {
		if i == mountsMax {
			c.Ignored = append(c.Ignored, fmt.Sprintf("mounts beyond %d", mountsMax))
			break
		}
		m, problem := mount(entry, folder)
		m.Name = fmt.Sprintf("mounts[%d]", i)
		// In another mount the target's place would be made in the workspace, or a link there followed.
		if problem == "" && slices.ContainsFunc(c.Mounts, func(o Mount) bool { return touch(m.Target, o.Target) }) {
			problem = "its target and another's are, or hold, each other"
		}
		if problem != "" {
			c.Ignore(m.Name, problem)
			continue
		}
		c.Mounts = append(c.Mounts, m)
	}
	return nil
}

// Ignore notes that name is not honoured, and why.
func (c *Config) Ignore(name, reason string) {
	c.Ignored = append(c.Ignored, name+" ("+reason+")")
}

// mount reads one entry, or says why it cannot be one in a sandbox.
func mount(entry json.RawMessage, folder string) (m Mount, problem string) {
	options, problem := mountOptions(entry)
	if problem != "" {
		return m, problem
	}
	switch kind := options["type"]; kind {
	case "bind":
	case "volume", "tmpfs":
		return m, "type=" + kind
	case "":
		return m, "type=volume, as it says nothing else"
	default:
		return m, "unknown type"
	}
	var ok bool
	if m.Source, ok = inWorkspace(options["source"]); !ok {
		return m, "its source is not below ${localWorkspaceFolder}"
	}
	m.Target = path.Clean(expand(options["target"], folder))
	if !path.IsAbs(m.Target) || strings.Contains(m.Target, "${") || strings.ContainsRune(m.Target, 0) {
		return m, "its target is no absolute path"
	}
	for _, dir := range append(reserved[:], folder) {
		if touch(m.Target, dir) {
			return m, "its target is, holds or is in " + dir
		}
	}
	if text, given := options["readonly"]; given {
		var err error
		if m.ReadOnly, err = strconv.ParseBool(text); err != nil {
			return m, "readonly is neither true nor false"
		}
	}
	return m, ""
}

// mountOptions returns the options of an entry, an object or KEY=VALUE,…, under their
// long names. Every one is known: what is not understood could be a limit.
func mountOptions(entry json.RawMessage) (options map[string]string, problem string) {
	var line string
	if json.Unmarshal(entry, &line) == nil {
		return pairs(strings.Split(line, ","))
	}
	var object map[string]string
	if json.Unmarshal(entry, &object) != nil {
		return nil, "neither a string nor an object of strings"
	}
	var list []string
	for _, k := range slices.Sorted(maps.Keys(object)) {
		list = append(list, k+"="+object[k])
	}
	return pairs(list)
}

func pairs(list []string) (options map[string]string, problem string) {
	long := map[string]string{
		"type": "type", "source": "source", "src": "source", "target": "target", "dst": "target", "destination": "target",
		"readonly": "readonly", "ro": "readonly", "consistency": "consistency", // which means nothing on Linux
	}
	options = make(map[string]string)
	for _, pair := range list {
		short, value, given := strings.Cut(pair, "=")
		key := long[short]
		if _, twice := options[key]; twice || key == "" {
			return nil, "an option is unknown or comes twice"
		}
		if key == "readonly" && !given {
			value = "true"
		}
		options[key] = value
	}
	return options, ""
}

// inWorkspace returns the path that source names in the workspace, relative to it.
func inWorkspace(source string) (rel string, ok bool) {
	for _, folder := range []string{"${localWorkspaceFolder}/", "${containerWorkspaceFolder}/"} {
		if rel, ok = strings.CutPrefix(source, folder); ok {
			break
		}
	}
	rel = path.Clean(strings.TrimLeft(rel, "/"))
	inside := rel != "." && rel != ".." && !strings.HasPrefix(rel, "../")
	return rel, ok && inside && !strings.Contains(rel, "${") && !strings.ContainsRune(rel, 0)
}

// touch reports whether a is, holds or is in b; both are clean and absolute.
func touch(a, b string) bool {
	a, b = strings.TrimSuffix(a, "/")+"/", strings.TrimSuffix(b, "/")+"/"
	return strings.HasPrefix(a, b) || strings.HasPrefix(b, a)
}

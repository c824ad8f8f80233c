package workspace

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// configMax bounds how much of a git config is looked at, in bytes.
const configMax = 256 << 10

// extrasMax bounds the paths that a config can add.
const extrasMax = 16

// extras are paths of the workspace dir that its repository's config has git
// take hooks or more config from, as far as no rule covers them. Only plain
// values are understood, not what git would expand (~, %(prefix)); the config
// itself is guarded whatever it says.
func extras(root *os.Root, dir, gitDir string) []Rule {
	text, err := ReadFile(root, path.Join(gitDir, "config"), configMax)
	if err != nil {
		return nil
	}
	var list []Rule
	add := func(r Rule) {
		first, _, _ := strings.Cut(r.Path, "/")
		_, covered := newNames().find(first)
		known := slices.ContainsFunc(list, func(o Rule) bool { return o.Path == r.Path })
		if !covered && !known && fs.ValidPath(r.Path) && r.Path != "." && len(list) < extrasMax {
			list = append(list, r)
		}
	}
	section := ""
	for line := range bytes.Lines(text) {
		s := strings.TrimSpace(string(line))
		if strings.HasPrefix(s, "[") {
			head, rest, _ := strings.Cut(s[1:], "]")
			name, _, _ := strings.Cut(head, " ")
			section, s = strings.ToLower(name), strings.TrimSpace(rest)
		}
		key, value, _ := strings.Cut(s, "=")
		key, value = strings.ToLower(strings.TrimSpace(key)), plain(value)
		switch {
		case section == "core" && key == "hookspath":
			add(Rule{Path: relative(dir, ".", value), Reason: whyHooks + " (core.hooksPath)"})
		case strings.HasPrefix(section, "include") && key == "path":
			add(Rule{Path: relative(dir, gitDir, value), Reason: whyConfig})
		}
	}
	return list
}

// relative makes of a config's path one that is relative to the workspace dir.
func relative(dir, base, value string) string {
	if path.IsAbs(value) {
		rest, ok := strings.CutPrefix(path.Clean(value), dir+"/")
		if !ok {
			return ".."
		}
		return rest
	}
	return path.Join(base, value)
}

// plain takes quotes and comments off a value.
func plain(value string) string {
	value = strings.TrimSpace(value)
	if unquoted, err := strconv.Unquote(value); err == nil {
		return unquoted
	}
	if i := strings.IndexAny(value, "#;"); i >= 0 {
		value = value[:i]
	}
	return strings.TrimSpace(value)
}

package permission

import (
	"path"
	"strings"
	"unicode/utf8"
)

// workspace is where relative paths begin, in the sandbox.
const workspace = "/workspace"

// pathMax bounds a path that can be allowed, in bytes: no file has a longer one.
const pathMax = 4096

// wild reports whether pattern matches s; "*" stands for any text.
func wild(pattern, s string) bool {
	return sequence(len(pattern), len(s),
		func(i int) bool { return pattern[i] == '*' },
		func(i, j int) bool { return pattern[i] == s[j] })
}

// sequence matches a sequence of m pattern elements with one of n: star elements stand
// for any number, the others for one that is equal. It takes at most m·n steps.
func sequence(m, n int, star func(int) bool, equal func(i, j int) bool) bool {
	i, back, mark := 0, -1, 0
	for j := 0; j < n; {
		switch {
		case i < m && star(i):
			back, mark = i, j
			i++
		case i < m && equal(i, j):
			i++
			j++
		case back >= 0: // let the last star take one more
			mark++
			i, j = back+1, mark
		default:
			return false
		}
	}
	for i < m && star(i) {
		i++
	}
	return i == m
}

// certain reports whether it is clear which file a path means, links aside.
func certain(p string) bool {
	if p == "" || len(p) > pathMax || p[0] == '~' || !utf8.ValidString(p) {
		return false
	}
	for part := range strings.SplitSeq(p, "/") {
		if part == ".." {
			return false
		}
	}
	return strings.IndexFunc(p, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }) < 0
}

// matchPath reports whether pattern matches the file p. Both are relative to the
// workspace unless they begin with a slash. "*" stands for any text within a name,
// "**" as a name for any number of names.
func matchPath(pattern, p string) bool {
	want, have := names(pattern), names(p)
	return sequence(len(want), len(have),
		func(i int) bool { return want[i] == "**" },
		func(i, j int) bool { return wild(want[i], have[j]) })
}

// names are the parts of a path from the root.
func names(p string) []string {
	if !strings.HasPrefix(p, "/") {
		p = workspace + "/" + p
	}
	p = strings.TrimPrefix(path.Clean(p), "/")
	if p == "" {
		return nil
	}
	return strings.Split(p, "/")
}

// matchHost reports whether pattern matches host; "*.example.com" means every name
// below example.com, as in egress rules.
func matchHost(pattern, host string) bool {
	pattern, host = strings.ToLower(pattern), strings.TrimSuffix(strings.ToLower(host), ".")
	if domain, ok := strings.CutPrefix(pattern, "*"); ok {
		return len(host) > len(domain) && strings.HasSuffix(host, domain)
	}
	return host != "" && host == pattern
}

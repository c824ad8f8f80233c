package agent

import "strings"

// diffMax bounds the diff of one event, in bytes: it is for people to look at, and
// the workspace has the whole.
const diffMax = 32 << 10

// cutDiff returns the lines of diff that fit, and the last without its newline.
func cutDiff(diff string) string {
	if len(diff) > diffMax {
		diff = diff[:strings.LastIndexByte(diff[:diffMax], '\n')+1]
	}
	return strings.TrimSuffix(diff, "\n")
}

// wholeDiff is the diff of a file that is new (sign "+") or gone ("-").
func wholeDiff(sign, content string) string {
	var b strings.Builder
	for line := range strings.Lines(content) {
		if b.Len() > diffMax {
			break
		}
		b.WriteString(sign + line)
	}
	return cutDiff(b.String())
}

package redact

import "encoding/binary"

// maxTries bounds how many occurrences of one gram are compared after one has matched. It only matters for secrets
// that repeat themselves, and costs at most some length of the match.
const maxTries = 64

// span is the part b[start:end] of some data.
type span struct{ start, end int }

// find returns the first match in b of which a probed gram starts at or after from. The match may start before from.
func (m *matcher) find(b []byte, from int) (span, bool) {
	i := from
	// The fields are copied because the compiler cannot know that the calls leave them alone.
	filter, shift, mask, stride := m.filter, m.filterShift, m.mask, m.stride
	for ; i+8 <= len(b); i += stride {
		hash := hashOf(binary.LittleEndian.Uint64(b[i:]) & mask)
		if want := filterBits(hash); filter[hash>>shift]&want == want {
			if match, ok := m.verify(b, i, hash); ok {
				return match, true
			}
		}
	}
	for ; i+m.gram <= len(b); i += stride {
		hash := hashOf(wordAt(b, i) & mask)
		if m.mayContain(hash) {
			if match, ok := m.verify(b, i, hash); ok {
				return match, true
			}
		}
	}
	return span{}, false
}

// verify returns the longest match around the gram at b[i:], which has the given hash.
func (m *matcher) verify(b []byte, i int, hash uint64) (best span, ok bool) {
	bucket := hash >> m.bucketShift
	word := wordAt(b, i) & m.mask
	for tries, r := range m.refs[m.buckets[bucket]:m.buckets[bucket+1]] {
		if ok && tries > maxTries {
			break
		}
		form, offset := m.forms[r.form], int(r.offset)
		if wordOf(form, offset)&m.mask != word {
			continue
		}
		start, before := extendLeft(b, i, form[:offset])
		end, after := extendRight(b, i, form[offset:])
		if before+after < min(minRun, len(form)) {
			continue
		}
		if !ok || end-start > best.end-best.start {
			best, ok = span{start, end}, true
		}
		if before+after == len(form) {
			break
		}
	}
	return best, ok
}

// wordOf is wordAt for a string.
func wordOf(s string, i int) (word uint64) {
	for k := min(len(s), i+8) - 1; k >= i; k-- {
		word = word<<8 | uint64(s[k])
	}
	return word
}

// minResume is how many bytes after a line break must agree for a run to go on, unless the form ends before.
const minResume = 4

// extendRight returns where the agreement of b[i:] with form ends and how many bytes of form it covers.
func extendRight(b []byte, i int, form string) (end, matched int) {
	for {
		n := commonPrefix(b[i:], form[matched:])
		if matched > 0 && n < min(minResume, len(form)-matched) {
			return end, matched
		}
		matched += n
		end = i + n
		gap := breakAfter(b[end:])
		if gap == 0 || matched == len(form) {
			return end, matched
		}
		i = end + gap
	}
}

// extendLeft is extendRight towards the front: it compares the end of b[:i] with the end of form.
func extendLeft(b []byte, i int, form string) (start, matched int) {
	start = i
	for {
		rest := form[:len(form)-matched]
		n := commonSuffix(b[:i], rest)
		if start != i && n < min(minResume, len(rest)) {
			return start, matched
		}
		matched += n
		start = i - n
		gap := breakBefore(b[:start])
		if gap == 0 || matched == len(form) {
			return start, matched
		}
		i = start - gap
	}
}

func commonPrefix(b []byte, s string) (n int) {
	for n < len(b) && n < len(s) && b[n] == s[n] {
		n++
	}
	return n
}

func commonSuffix(b []byte, s string) (n int) {
	for n < len(b) && n < len(s) && b[len(b)-1-n] == s[len(s)-1-n] {
		n++
	}
	return n
}

// maxBreak bounds the bytes of a line break with its indentation.
const maxBreak = 64

// breakAfter returns the length of the line break that b starts with: any mix of \n and \r, plain or escaped by any
// number of backslashes, and the blanks after it. It returns 0 if there is none.
func breakAfter(b []byte) (n int) {
	b = b[:min(len(b), maxBreak)]
	for n < len(b) {
		k := n
		for k < len(b) && b[k] == '\\' {
			k++
		}
		switch {
		case k == len(b):
			return n
		case k == n && (b[k] == '\n' || b[k] == '\r'), k > n && (b[k] == 'n' || b[k] == 'r'):
			n = k + 1
		case k == n && n > 0 && (b[k] == ' ' || b[k] == '\t'):
			n = k + 1
		default:
			return n
		}
	}
	return n
}

// breakBefore returns the length of the line break and indentation that b ends with, or 0.
func breakBefore(b []byte) int {
	b = b[max(0, len(b)-maxBreak):]
	k := len(b)
	for k > 0 && (b[k-1] == ' ' || b[k-1] == '\t') {
		k--
	}
	found := false
	for k > 0 {
		c := b[k-1]
		if c == '\n' || c == '\r' {
			k, found = k-1, true
			continue
		}
		escape := k - 1
		for escape > 0 && b[escape-1] == '\\' {
			escape--
		}
		if c != 'n' && c != 'r' || escape == k-1 {
			break
		}
		k, found = escape, true
	}
	if !found {
		return 0
	}
	return len(b) - k
}

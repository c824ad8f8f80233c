package redact

import (
	"encoding/binary"
	"math/bits"
)

// minRun is the length in bytes from which a part of a form is replaced; a shorter form must occur as a whole.
const minRun = 20

// matcher is an immutable index of all grams (fragments of gram bytes) of all forms.
//
// Because every gram is indexed, data needs a look only at every stride-th byte: a run of minRun bytes (or a whole
// shorter form) contains at least one complete gram that starts at a probed place. The probes do not depend on each
// other, so the processor overlaps them; a shift table as in Wu-Manber would wait for each one.
type matcher struct {
	forms   []string
	longest int           // bytes of the longest form
	heads   [256][]uint64 // the first words of forms, by their first byte

	gram   int    // bytes of a gram, 4 to 8
	mask   uint64 // selects the gram in a little-endian word
	stride int    // distance of the probes in bytes

	filter      []uint64 // Bloom filter over all grams; the bits of a gram share one word, so a probe is one load
	filterShift uint     // 64 minus the binary logarithm of its length

	buckets     []uint32 // refs of bucket h are refs[buckets[h]:buckets[h+1]]
	bucketShift uint
	refs        []ref
}

// ref is one occurrence of a gram.
type ref struct{ form, offset uint32 }

// newMatcher indexes secrets, of which there is at least one, each of at least MinSecretBytes.
func newMatcher(secrets map[string]struct{}) *matcher {
	m := &matcher{}
	shortest, grams := minRun, 0
	for secret := range secrets {
		for _, f := range forms(secret) {
			m.forms = append(m.forms, f)
			m.longest = max(m.longest, len(f))
			m.heads[f[0]] = append(m.heads[f[0]], wordOf(f, 0))
			shortest = min(shortest, len(f))
			grams += len(f)
		}
	}
	// Half of the shortest run balances few false alarms (a long gram) with few probes (a long stride).
	m.gram = min(shortest/2, 8)
	m.mask = ^uint64(0) >> (64 - 8*m.gram)
	m.stride = shortest - m.gram + 1

	// One word for every four to eight grams, two bits for each gram: false alarms stay under 2 %.
	filterBits := max(bits.Len(uint(grams-1))-2, 6)
	m.filter = make([]uint64, 1<<filterBits)
	m.filterShift = uint(64 - filterBits)
	bucketBits := max(bits.Len(uint(grams-1)), 8)
	m.buckets = make([]uint32, 1<<bucketBits+1)
	m.bucketShift = uint(64 - bucketBits)
	m.index()
	return m
}

// index fills the filter and, by a counting sort, the buckets.
func (m *matcher) index() {
	m.eachGram(func(hash uint64, _ ref) {
		m.filter[hash>>m.filterShift] |= filterBits(hash)
		m.buckets[hash>>m.bucketShift+1]++
	})
	for i := 1; i < len(m.buckets); i++ {
		m.buckets[i] += m.buckets[i-1]
	}
	m.refs = make([]ref, m.buckets[len(m.buckets)-1])
	next := append([]uint32(nil), m.buckets...)
	m.eachGram(func(hash uint64, r ref) {
		bucket := hash >> m.bucketShift
		m.refs[next[bucket]] = r
		next[bucket]++
	})
}

// eachGram calls visit with the hash and the place of every gram of every form.
func (m *matcher) eachGram(visit func(hash uint64, r ref)) {
	for i, f := range m.forms {
		for offset := range len(f) - m.gram + 1 {
			word := wordAt([]byte(f[offset:offset+m.gram]), 0)
			visit(hashOf(word), ref{form: uint32(i), offset: uint32(offset)})
		}
	}
}

// mayContain reports whether some form may contain the gram with this hash.
func (m *matcher) mayContain(hash uint64) bool {
	want := filterBits(hash)
	return m.filter[hash>>m.filterShift]&want == want
}

// filterBits returns the bits of a gram in its word of the filter. They come from the middle of the hash, because its
// upper bits have selected the word and its lower ones depend on few bytes of the gram.
func filterBits(hash uint64) uint64 { return 1<<(hash>>34&63) | 1<<(hash>>40&63) }

// hashOf is Fibonacci hashing: the upper bits of the product depend on all bits of the word.
func hashOf(word uint64) uint64 { return word * 0x9e3779b97f4a7c15 }

// wordAt returns the up to eight bytes of b from i as a little-endian word.
func wordAt(b []byte, i int) uint64 {
	if i+8 <= len(b) {
		return binary.LittleEndian.Uint64(b[i:])
	}
	var tail [8]byte
	copy(tail[:], b[i:])
	return binary.LittleEndian.Uint64(tail[:])
}

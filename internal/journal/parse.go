package journal

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"time"
)

// record is a parsed line of the file. Its slices point into the line.
type record struct {
	version  int64
	session  []byte
	seq      int64
	time     []byte
	typ      []byte
	out, sum int64
	more     bool
	rawBytes int64 // if set, so many bytes and a line break follow the line
	rawJSON  bool
	data     []byte
	raw      []byte
}

var errSyntax = errors.New("not a record")

// parse reads one line, without its line break. Unless it is asked for the whole record, it stops before data and raw,
// which come last, and leaves them empty.
func parse(line []byte, whole bool) (r record, err error) {
	if len(line) < 2 || line[0] != '{' || line[len(line)-1] != '}' {
		return r, errSyntax
	}
	p := parser{b: line[:len(line)-1], i: 1}
	for {
		key := p.string()
		p.expect(':')
		if !whole && (string(key) == "data" || string(key) == "raw") {
			break
		}
		r.set(&p, string(key))
		if p.bad || p.i == len(p.b) {
			break
		}
		p.expect(',')
	}
	if p.bad {
		return r, errSyntax
	}
	return r, r.check()
}

// set reads the value of one field.
func (r *record) set(p *parser, key string) {
	switch key {
	case "v":
		r.version = p.number()
	case "session":
		r.session = p.string()
	case "seq":
		r.seq = p.number()
	case "time":
		r.time = p.string()
	case "type":
		r.typ = p.string()
	case "out":
		r.out = p.number()
	case "sum":
		r.sum = p.number()
	case "more":
		r.more = string(p.value()) == "true"
	case "raw_bytes":
		r.rawBytes = p.number()
	case "raw_json":
		r.rawJSON = string(p.value()) == "true"
	case "data":
		r.data = p.value()
	case "raw":
		r.raw, r.rawJSON = p.value(), true
	default: // written by a later version of this program
		p.value()
	}
}

func (r *record) check() error {
	switch {
	case r.version != 1:
		return fmt.Errorf("record of unknown version %d", r.version)
	case r.seq == 0 || !isName(string(r.session)) || !isName(string(r.typ)) || r.sum > math.MaxUint32,
		r.rawBytes > 0 && len(r.raw) > 0:
		return errSyntax
	}
	return nil
}

// entry returns the record as an entry that still shares the line's memory.
func (r *record) entry() (Entry, error) {
	t, err := time.Parse(time.RFC3339Nano, string(r.time))
	if err != nil {
		return Entry{}, errSyntax
	}
	return Entry{
		Seq: uint64(r.seq), Time: t.UTC(), Type: string(r.typ), Data: r.data,
		Raw: r.raw, RawJSON: r.rawJSON, Out: r.out, Sum: uint32(r.sum),
	}, nil
}

// parser reads the subset of JSON that records consist of; values other than data and raw hold no escapes.
type parser struct {
	b   []byte
	i   int
	bad bool // something did not fit; everything after is meaningless
}

func (p *parser) expect(c byte) {
	if p.bad || p.i >= len(p.b) || p.b[p.i] != c {
		p.bad = true
		return
	}
	p.i++
}

func (p *parser) string() []byte {
	p.expect('"')
	if p.bad {
		return nil
	}
	rest := p.b[p.i:]
	n := bytes.IndexByte(rest, '"')
	if n < 0 || bytes.IndexByte(rest[:n], '\\') >= 0 {
		p.bad = true
		return nil
	}
	p.i += n + 1
	return rest[:n]
}

// number reads an integer from 0 to less than 2^62.
func (p *parser) number() (n int64) {
	start := p.i
	for ; !p.bad && p.i < len(p.b) && p.b[p.i] >= '0' && p.b[p.i] <= '9'; p.i++ {
		if n > (1<<62-10)/10 {
			p.bad = true
		}
		n = n*10 + int64(p.b[p.i]-'0')
	}
	p.bad = p.bad || p.i == start
	return n
}

func (p *parser) value() []byte {
	start := p.i
	// Data may have blanks around it; they stay outside the value.
	for !p.bad && p.i < len(p.b) && (p.b[p.i] == ' ' || p.b[p.i] == '\t') {
		p.i++
		start++
	}
	end := -1
	if !p.bad {
		end = skipValue(p.b, p.i)
	}
	if end < 0 {
		p.bad = true
		return nil
	}
	for p.i = end; p.i < len(p.b) && (p.b[p.i] == ' ' || p.b[p.i] == '\t'); p.i++ {
	}
	return p.b[start:end]
}

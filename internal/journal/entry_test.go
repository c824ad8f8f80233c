package journal

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestAppendJSON(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		in   Entry
		want string
	}{
		{"bare", Entry{Seq: 1, Time: noon, Type: "a", Out: 5, Sum: 6},
			`{"v":1,"session":"s-1","seq":1,"time":"2026-01-02T12:00:00.123456789Z","type":"a"}`},
		{"data and raw", Entry{Seq: 2, Time: noon, Type: "a", Data: json.RawMessage(`{"x":1}`), Raw: []byte(`{"y":2}`), RawJSON: true},
			`{"v":1,"session":"s-1","seq":2,"time":"2026-01-02T12:00:00.123456789Z","type":"a","data":{"x":1},"raw":{"y":2}}`},
		{"text", Entry{Seq: 3, Time: noon, Type: "a", Raw: []byte("a\"\\\x01\xff\té\r\n")},
			`{"v":1,"session":"s-1","seq":3,"time":"2026-01-02T12:00:00.123456789Z","type":"a","raw":"a\"\\\u0001` + "\ufffd" + `\u0009é\u000d\u000a"}`},
		{"several lines", Entry{Seq: 4, Time: noon, Type: "a", Raw: []byte("{\r\n\"a\":\"\xff\"}"), RawJSON: true},
			`{"v":1,"session":"s-1","seq":4,"time":"2026-01-02T12:00:00.123456789Z","type":"a","raw":{  "a":"` + "\ufffd" + `"}}`},
		{"vouched in error", Entry{Seq: 5, Time: noon, Type: "a", Raw: []byte(`{"a`), RawJSON: true},
			`{"v":1,"session":"s-1","seq":5,"time":"2026-01-02T12:00:00.123456789Z","type":"a","raw":"{\"a"}`},
	} {
		got := string(tc.in.AppendJSON([]byte("x"), "s-1"))
		if diff := cmp.Diff("x"+tc.want, got); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
	}
}

func TestAppendJSONIsOneValidLine(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := randomEntry().Draw(t, "entry")
		e.RawJSON = e.RawJSON && json.Valid(e.Raw)
		line := e.AppendJSON(nil, "s-1")
		if !json.Valid(line) || bytes.ContainsAny(line, "\r\n") {
			t.Fatalf("got %q", line)
		}
	})
}

func TestEnvelopeIsValidJSON(t *testing.T) {
	t.Parallel()
	for _, e := range samples() {
		record, raw := e.appendRecord(nil, "s-1", true)
		if !json.Valid(record) || bytes.IndexByte(record, '\n') != len(record)-1 {
			t.Errorf("got %q", record)
		}
		if inline := bytes.Contains(record, []byte(`,"raw":`)); inline == (raw != nil) && len(e.Raw) > 0 {
			t.Errorf("raw is stored twice or not at all: %q", record)
		}
	}
}

// FuzzParse checks that no line makes the parser panic, and that what it accepts survives being written again.
func FuzzParse(f *testing.F) {
	for _, e := range samples() {
		if len(e.Raw) > 1000 {
			continue
		}
		record, _ := e.appendRecord(nil, "s-1", true)
		f.Add(record[:len(record)-1])
	}
	f.Add([]byte(`{"v":1,"new":{"a":[]},"session":"s","seq":1,"time":"2026-01-02T03:04:05+01:00","type":"x","data": 1 }`))
	f.Fuzz(func(t *testing.T, line []byte) {
		_, headErr := parse(line, false)
		r, err := parse(line, true)
		if err != nil {
			return
		}
		if headErr != nil && len(r.data)+len(r.raw) == 0 {
			t.Fatalf("head refused, whole record accepted: %v", headErr)
		}
		e, err := r.entry()
		if err != nil || r.rawBytes > 0 || e.check() != nil || bytes.ContainsAny(line, "\r\n") {
			return
		}
		again, raw := e.appendRecord(nil, string(r.session), r.more)
		r2, err := parse(again[:len(again)-1], true)
		if err != nil {
			t.Fatalf("%q was written as %q: %v", line, again, err)
		}
		e2, err := r2.entry()
		if err != nil {
			t.Fatal(err)
		}
		if raw != nil {
			e2.Raw = raw
		}
		if len(e.Raw) == 0 {
			e.RawJSON = false
		}
		if e.Out == 0 {
			e.Sum = 0
		}
		if diff := cmp.Diff(e, e2); diff != "" {
			t.Fatalf("%q was written as %q: %s", line, again, diff)
		}
	})
}

// FuzzSkipValue compares the framing of values with encoding/json: whatever that accepts must be one value.
func FuzzSkipValue(f *testing.F) {
	for _, s := range []string{`{"a":[1,"}\\\""]}`, `-1.5E+3`, `true`, ` [ ] `, `"\u0000"`, `{`, `"`, `1 2`, `]`, "\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if json.Valid(b) && !isValue(b) {
			t.Fatalf("%q is valid and was not recognised", b)
		}
	})
}

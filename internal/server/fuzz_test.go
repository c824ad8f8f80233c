package server

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/iotest"

	"github.com/sprawlto/ratchetai-runner/internal/api"
)

// A batch is refused, or what comes out of it is what went in: numbers without a gap,
// and events that go over the wire unchanged.
func FuzzBatch(f *testing.F) {
	f.Add([]byte(batch("s", 1, 3)), uint64(1))
	f.Add([]byte(batch("s", 7, 7)+finish("s", 8)), uint64(7))
	f.Add([]byte(`{"v":1,"session":"s","seq":1,"time":"2026-01-02T03:04:05Z","type":"agent.unparsed","raw_bytes":"AAEC"}`), uint64(1))
	f.Add([]byte(`{"session":"s","seq":1,"time":"2026-01-02T03:04:05Z","type":"t","raw_ref":{"artifact":"../x"}}`), uint64(1))
	f.Add([]byte("\n\n{}\xff"), uint64(math.MaxUint64))
	f.Fuzz(func(t *testing.T, data []byte, first uint64) {
		events, err := parseBatch(data, "s", first)
		if err != nil {
			if e := problem(err); e.Code != api.CodeInvalid {
				t.Fatalf("%v", err)
			}
			return
		}
		for i := range events {
			e := &events[i]
			if e.Session != "s" || e.Seq != first+uint64(i) || e.Type == "" {
				t.Fatalf("event %d: %+v", i, e)
			}
			var b bytes.Buffer
			writeEvent(&b, e)
			if bytes.ContainsAny(b.Bytes(), "\r\n") {
				t.Fatalf("more than a line: %q", b.Bytes())
			}
			want, err := json.Marshal(e)
			if err != nil {
				continue // a year that RFC 3339 has not
			}
			var one, other api.Event
			if json.Unmarshal(b.Bytes(), &one) != nil || json.Unmarshal(want, &other) != nil {
				t.Fatalf("no JSON: %s", b.Bytes())
			}
			if !one.Time.Equal(other.Time) || one.Type != other.Type || !bytes.Equal(one.RawBytes, other.RawBytes) {
				t.Fatalf("%s instead of %s", b.Bytes(), want)
			}
		}
	})
}

// No body of an upload, compressed or not, in one piece or byte by byte, takes memory that
// is not given back.
func FuzzUploadBody(f *testing.F) {
	f.Add([]byte(batch("s", 1, 3)), false)
	f.Add(compress(f, []byte(batch("s", 1, 3))), true)
	f.Add(compress(f, bytes.Repeat([]byte(" "), 8<<20)), true)
	f.Add([]byte("\x28\xb5\x2f\xfd\xa4\xff\xff\xff\xff"), true)
	s := &Server{uploads: budget{left: uploadsMax}}
	f.Fuzz(func(t *testing.T, data []byte, packed bool) {
		r := httptest.NewRequest("POST", "/", iotest.OneByteReader(bytes.NewReader(data)))
		if packed {
			r.Header.Set("Content-Encoding", "zstd")
		}
		out, release, err := s.readBatch(&call{w: httptest.NewRecorder(), r: r})
		if err == nil {
			if len(out) > api.BatchMax {
				t.Errorf("%d bytes", len(out))
			}
			release()
		}
		if s.uploads.left != uploadsMax {
			t.Fatalf("%d bytes are not given back", uploadsMax-s.uploads.left)
		}
	})
}

func FuzzArtifactHeaders(f *testing.F) {
	f.Add("raw-7", "bytes 0-39/100", int64(40), "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff")
	f.Add("../x", "bytes 9223372036854775807-9223372036854775807/1", int64(-1), "")
	f.Add("x", "bytes */5", int64(0), "zz")
	f.Fuzz(func(t *testing.T, name, span string, length int64, sum string) {
		r := httptest.NewRequest(http.MethodPut, "/", nil)
		r.SetPathValue("name", name)
		r.ContentLength = length
		r.Header = http.Header{"Content-Range": {span}, api.HeaderSHA256: {sum}}
		p, err := readPart(r)
		if err == nil && (p.start < 0 || p.end < p.start || p.size < p.end || p.size > api.ArtifactMax || len(p.sha256) != 64 || !fileName(p.name)) {
			t.Errorf("%+v", p)
		}
	})
}

// What is no report or no command is refused as such, and never a failure of the server.
func FuzzBodies(f *testing.F) {
	data, _ := json.Marshal(report)
	f.Add(data)
	f.Add([]byte(`{"kind":"answer","answer":{"ask":"a","decision":"allow","input":{"a":1}}}`))
	f.Add([]byte(`{"prompt":"x","labels":[""]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := func() *call {
			return &call{w: httptest.NewRecorder(), r: httptest.NewRequest("POST", "/", io.NopCloser(bytes.NewReader(data)))}
		}
		_, err := readSync(c())
		var n api.NewCommand
		err2 := c().decode(&n, bodyMax)
		if err2 == nil {
			err2 = checkCommand(n)
		}
		for _, err := range []error{err, err2} {
			if err == nil {
				continue
			}
			if e := problem(err); e.Code != api.CodeInvalid && e.Code != api.CodeTooLarge {
				t.Errorf("%v", err)
			}
		}
	})
}

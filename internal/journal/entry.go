package journal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// MaxDataBytes is the largest Data of an entry.
const MaxDataBytes = 16 << 20

// Entry is one event of a session with its envelope. Entries that are read own their memory.
type Entry struct {
	Seq  uint64    // 1, 2, 3 … without gaps; assigned by Append
	Time time.Time // stored in UTC; of years 0 to 9999
	Type string    // letters, digits and ._:- only, such as "agent.message"

	// Data is the normalised event: one JSON value of at most MaxDataBytes, or empty for none. Append checks only that
	// it is one balanced value, because it comes from an encoder.
	Data json.RawMessage

	// Raw is the vendor's line without its line break, kept verbatim, or empty for none.
	Raw []byte
	// RawJSON is the caller's word that Raw is one valid JSON value.
	RawJSON bool

	// Far is where Raw is, if it was too long to be read along (FollowFar). Append ignores it.
	Far Far

	Out int64  // stdout offset in bytes after the line that caused the entry; 0 if stdout did not cause it
	Sum uint32 // CRC-32C of stdout up to Out; only kept if Out is set
}

// check returns ErrInvalid if e cannot be recorded.
func (e *Entry) check() error {
	year := e.Time.UTC().Year()
	switch {
	case !isName(e.Type):
		return fmt.Errorf("%w: type %q", ErrInvalid, e.Type)
	case len(e.Data) > MaxDataBytes:
		return fmt.Errorf("%w: %d bytes of data in %s", ErrInvalid, len(e.Data), e.Type)
	case len(e.Data) > 0 && !isValue(e.Data):
		return fmt.Errorf("%w: data of %s is not a JSON value", ErrInvalid, e.Type)
	case e.Out < 0:
		return fmt.Errorf("%w: negative offset in %s", ErrInvalid, e.Type)
	case year < 0 || year > 9999:
		return fmt.Errorf("%w: year %d in %s", ErrInvalid, year, e.Type)
	}
	return nil
}

// appendRecord appends the record of e with its line break to dst. It returns raw if that has to follow, with a line
// break of its own.
func (e *Entry) appendRecord(dst []byte, session string, more bool) (record, raw []byte) {
	dst = e.appendEnvelope(dst, session)
	if e.Out > 0 {
		dst = append(dst, `,"out":`...)
		dst = strconv.AppendInt(dst, e.Out, 10)
		dst = append(dst, `,"sum":`...)
		dst = strconv.AppendUint(dst, uint64(e.Sum), 10)
	}
	if more {
		dst = append(dst, `,"more":true`...)
	}
	inline := e.RawJSON && len(e.Raw) <= maxInlineRaw && isLine(e.Raw) && skipValue(e.Raw, 0) == len(e.Raw)
	if len(e.Raw) > 0 && !inline {
		raw = e.Raw
		dst = append(dst, `,"raw_bytes":`...)
		dst = strconv.AppendInt(dst, int64(len(e.Raw)), 10)
		if e.RawJSON {
			dst = append(dst, `,"raw_json":true`...)
		}
	}
	// The long fields come last, so that a scan can stop before them.
	dst = appendData(dst, e.Data)
	if inline {
		dst = append(dst, `,"raw":`...)
		dst = append(dst, e.Raw...)
	}
	return append(dst, "}\n"...), raw
}

// AppendJSON appends e as the public envelope, one line of JSON without its line break, to dst:
//
//	{"v":1,"session":"s1","seq":7,"time":"2026-01-02T03:04:05.6Z","type":"agent.message","data":{…},"raw":{…}}
//
// A Raw that is not JSON becomes a JSON string with U+FFFD in place of invalid UTF-8. Empty Data and Raw are left out.
// The session's name must be one that Open accepts.
func (e Entry) AppendJSON(dst []byte, session string) []byte {
	dst = e.appendEnvelope(dst, session)
	dst = appendData(dst, e.Data)
	if len(e.Raw) > 0 {
		dst = append(dst, `,"raw":`...)
		dst = e.appendRaw(dst)
	}
	return append(dst, '}')
}

// appendEnvelope appends what every line starts with.
func (e *Entry) appendEnvelope(dst []byte, session string) []byte {
	dst = append(dst, `{"v":1,"session":"`...)
	dst = append(dst, session...)
	dst = append(dst, `","seq":`...)
	dst = strconv.AppendUint(dst, e.Seq, 10)
	dst = append(dst, `,"time":"`...)
	dst = e.Time.UTC().AppendFormat(dst, time.RFC3339Nano)
	dst = append(dst, `","type":"`...)
	dst = append(dst, e.Type...)
	return append(dst, '"')
}

func appendData(dst []byte, data json.RawMessage) []byte {
	if len(data) == 0 {
		return dst
	}
	dst = append(dst, `,"data":`...)
	return append(dst, oneLine(data)...)
}

// appendRaw appends Raw, which is not empty, as a JSON value.
func (e *Entry) appendRaw(dst []byte) []byte {
	if !e.RawJSON || !isValue(e.Raw) {
		return appendString(dst, e.Raw)
	}
	raw := oneLine(e.Raw)
	if !utf8.Valid(raw) {
		raw = bytes.ToValidUTF8(raw, []byte("\ufffd"))
	}
	return append(dst, raw...)
}

// oneLine returns the JSON text b with blanks for the line breaks between its tokens; inside strings there are none.
func oneLine(b []byte) []byte {
	if bytes.IndexByte(b, '\n') < 0 && bytes.IndexByte(b, '\r') < 0 {
		return b
	}
	return bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\n"), []byte(" ")), []byte("\r"), []byte(" "))
}

// isLine reports whether b can stand inside a line of UTF-8 text.
func isLine(b []byte) bool {
	return bytes.IndexByte(b, '\n') < 0 && bytes.IndexByte(b, '\r') < 0 && utf8.Valid(b)
}

// isName reports whether s can stand between quotes as it is and be compared byte by byte.
func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && c != '.' && c != '_' && c != ':' && c != '-' {
			return false
		}
	}
	return s != ""
}

// appendString appends b as a JSON string, with U+FFFD in place of invalid UTF-8.
func appendString(dst, b []byte) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', digits[r>>4], digits[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
		b = b[n:]
	}
	return append(dst, '"')
}

package server

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
)

// write adds an event as a line of NDJSON, or as an SSE message whose id is its number.
func (f *following) write(b *bytes.Buffer, e *api.Event) {
	if f.sse {
		b.WriteString("id: ")
		b.WriteString(strconv.FormatUint(e.Seq, 10))
		b.WriteString("\ndata: ")
	}
	writeEvent(b, e)
	b.WriteByte('\n')
	if f.sse {
		b.WriteByte('\n')
	}
}

// writeEvent adds what json.Marshal makes of e, at a third of its cost: the values that
// are JSON already are copied.
func writeEvent(b *bytes.Buffer, e *api.Event) {
	b.WriteString(`{"v":`)
	b.WriteString(strconv.Itoa(e.V))
	b.WriteString(`,"session":`)
	writeString(b, e.Session)
	b.WriteString(`,"seq":`)
	b.WriteString(strconv.FormatUint(e.Seq, 10))
	b.WriteString(`,"time":"`)
	b.Write(e.Time.AppendFormat(b.AvailableBuffer(), time.RFC3339Nano))
	b.WriteString(`","type":`)
	writeString(b, e.Type)
	writeJSON(b, `,"data":`, e.Data)
	writeJSON(b, `,"raw":`, e.Raw)
	if len(e.RawBytes) > 0 {
		b.WriteString(`,"raw_bytes":"`)
		b.Write(base64.StdEncoding.AppendEncode(b.AvailableBuffer(), e.RawBytes))
		b.WriteByte('"')
	}
	if e.RawRef != nil {
		ref, _ := json.Marshal(e.RawRef) // of strings and numbers
		writeJSON(b, `,"raw_ref":`, ref)
	}
	b.WriteByte('}')
}

func writeJSON(b *bytes.Buffer, key string, value []byte) {
	if len(value) == 0 {
		return
	}
	b.WriteString(key)
	if bytes.ContainsAny(value, "\r\n") { // white space, which would end the line
		if json.Compact(b, value) == nil {
			return
		}
		value = []byte("null")
	}
	b.Write(value)
}

func writeString(b *bytes.Buffer, s string) {
	data, _ := json.Marshal(s) // of a string
	b.Write(data)
}

package world

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
)

// TestCompareNotices: what differs in any way is found.
func TestCompareNotices(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, err := journal.Open(dir, "s")
	if err != nil {
		t.Fatal(err)
	}
	when := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	artifact := bytes.Repeat([]byte("x"), 300)
	sum := sha256.Sum256(artifact)
	var same []api.Event
	for i, raw := range []string{`{"a":1}`, "no JSON \xff", string(artifact), ""} {
		e := journal.Entry{Time: when.Add(time.Duration(i)), Type: "message", Data: json.RawMessage(fmt.Sprintf(`{"n":%d}`, i)), Raw: []byte(raw), RawJSON: i == 0}
		if _, err := j.Append(e); err != nil {
			t.Fatal(err)
		}
		got := api.Event{V: 1, Seq: uint64(i + 1), Time: e.Time, Type: e.Type, Data: e.Data}
		switch i {
		case 0:
			got.Raw = e.Raw
		case 1:
			got.RawBytes = e.Raw
		case 2:
			got.RawRef = &api.RawRef{Artifact: "a", Bytes: 300, SHA256: hex.EncodeToString(sum[:])}
		}
		same = append(same, got)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	compare := func(events []api.Event, artifact []byte) (Compared, error) {
		return Compare(dir, Stored{
			Events: func(yield func(api.Event, error) bool) {
				for _, e := range events {
					if !yield(e, nil) {
						return
					}
				}
			},
			Artifact: func(string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(artifact)), nil },
		})
	}
	if c, err := compare(same, artifact); err != nil || c.Events != 4 || c.Missing != 0 || len(c.Lines) != 3 || c.Artifacts != 1 {
		t.Errorf("the same: %+v, %v", c, err)
	}
	if c, err := compare(same[:2], artifact); err != nil || c.Events != 2 || c.Missing != 2 {
		t.Errorf("two are missing at the end: %+v, %v", c, err)
	}
	if _, err := compare(same, artifact[1:]); err == nil {
		t.Error("a cut artifact is not noticed")
	}
	for what, change := range map[string]func(e []api.Event) []api.Event{
		"one is missing":   func(e []api.Event) []api.Event { return slices.Delete(e, 1, 2) },
		"one comes twice":  func(e []api.Event) []api.Event { return slices.Insert(e, 1, e[0]) },
		"two are swapped":  func(e []api.Event) []api.Event { e[0], e[1] = e[1], e[0]; return e },
		"one more":         func(e []api.Event) []api.Event { return append(e, api.Event{V: 1, Seq: 5, Type: "message"}) },
		"another type":     func(e []api.Event) []api.Event { e[3].Type = "thinking"; return e },
		"another time":     func(e []api.Event) []api.Event { e[3].Time = e[3].Time.Add(1); return e },
		"other data":       func(e []api.Event) []api.Event { e[3].Data = json.RawMessage(`{"n":4}`); return e },
		"another line":     func(e []api.Event) []api.Event { e[0].Raw = json.RawMessage(`{"a": 1}`); return e },
		"other bytes":      func(e []api.Event) []api.Event { e[1].RawBytes = []byte("no JSON \xfe"); return e },
		"no line":          func(e []api.Event) []api.Event { e[0].Raw = nil; return e },
		"a line from none": func(e []api.Event) []api.Event { e[3].RawBytes = []byte("x"); return e },
		"another version":  func(e []api.Event) []api.Event { e[3].V = 2; return e },
	} {
		if _, err := compare(change(slices.Clone(same)), artifact); err == nil {
			t.Errorf("%s: not noticed", what)
		}
	}
}

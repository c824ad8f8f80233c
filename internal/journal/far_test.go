package journal

import (
	"bytes"
	"io"
	"testing"
)

func TestFarLines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := mustOpen(t, dir)
	big := append([]byte(`"`), append(bytes.Repeat([]byte("äx"), 60_000), '"')...)
	mustAppend(t, j, Entry{Type: "a", Raw: []byte("{}"), RawJSON: true}, Entry{Type: "b", Raw: big, RawJSON: true}, Entry{Type: "c", Raw: big[:70_000]})
	mustAppend(t, j, Entry{Type: "end"})
	var got []Entry
	for e, err := range j.FollowFar(t.Context(), 1, "end", 100_000) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
	}
	if len(got) != 4 || string(got[0].Raw) != "{}" || len(got[1].Raw) != 0 || !got[1].RawJSON || got[1].Far.Bytes != int64(len(big)) || len(got[2].Raw) != 70_000 {
		t.Fatalf("got %d entries, the second with %d bytes, far %+v", len(got), len(got[1].Raw), got[1].Far)
	}
	for _, from := range []int64{0, 1, 99_999, int64(len(big))} {
		r, err := OpenFar(dir, got[1].Far, from)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		r.Close()
		if err != nil || !bytes.Equal(data, big[from:]) {
			t.Errorf("from %d: %d bytes, %v", from, len(data), err)
		}
	}
	for e, err := range ReadFar(dir, 2, 100_000) {
		if err != nil || e.Seq == 2 && e.Far != got[1].Far {
			t.Errorf("read %+v, %v", e.Far, err)
		}
	}
}

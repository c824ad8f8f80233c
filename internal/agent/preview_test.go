package agent

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPreview(t *testing.T) {
	t.Parallel()
	x := func(n int) string { return strings.Repeat("x", n) }
	for name, tt := range map[string]struct {
		line string
		max  int
		want string
	}{
		"short":          {`{"a":"b"}`, 4, `{"a":"b"}`},
		"long":           {`{"a":"` + x(100) + `","n":1}`, 20, `{"a":"` + x(10) + `…[80 bytes]…` + x(10) + `","n":1}`},
		"twice":          {`["` + x(100) + `","` + x(100) + `"]`, 20, `["` + x(10) + `…[80 bytes]…` + x(10) + `","` + x(10) + `…[80 bytes]…` + x(10) + `"]`},
		"not worth it":   {`["` + x(30) + `"]`, 20, `["` + x(30) + `"]`},
		"nothing left":   {`["` + x(100) + `"]`, 0, `["…[100 bytes]…"]`},
		"negative":       {`["` + x(100) + `"]`, -1, `["…[100 bytes]…"]`},
		"key":            {`{"` + x(100) + `" : 1}`, 20, `{"` + x(100) + `" : 1}`},
		"escaped quotes": {`["` + strings.Repeat(`\"`, 50) + `"]`, 20, `["` + strings.Repeat(`\"`, 5) + `…[80 bytes]…` + strings.Repeat(`\"`, 5) + `"]`},
		"cut in escapes": {`["` + strings.Repeat(`\"`, 50) + `"]`, 22, `["` + strings.Repeat(`\"`, 5) + `…[80 bytes]…` + strings.Repeat(`\"`, 5) + `"]`},
		"backslashes":    {`["` + strings.Repeat(`\\`, 50) + `",2]`, 22, `["` + strings.Repeat(`\\`, 5) + `…[80 bytes]…` + strings.Repeat(`\\`, 5) + `",2]`},
		"runes":          {`["` + strings.Repeat(`é`, 50) + `"]`, 22, `["` + strings.Repeat(`é`, 5) + `…[80 bytes]…` + strings.Repeat(`é`, 5) + `"]`},
		"pairs": {
			`["` + strings.Repeat(`\ud83d\ude00`, 10) + `"]`, 36,
			`["\ud83d\ude00…[96 bytes]…\ud83d\ude00"]`,
		},
		"within pairs": {
			`["` + strings.Repeat(`\uD83D\uDE00`, 10) + `"]`, 44,
			`["\uD83D\uDE00…[96 bytes]…\uD83D\uDE00"]`,
		},
		"no pair": {
			`["` + x(8) + `\\ud800\udc00` + x(100) + `"]`, 32,
			`["` + x(8) + `\\ud800…[90 bytes]…` + x(16) + `"]`,
		},
		"no end":          {`{"a":"` + x(100), 20, `{"a":"` + x(10) + `…[80 bytes]…` + x(10)},
		"no end, escaped": {`{"a":"` + x(100) + `\`, 20, `{"a":"` + x(10) + `…[81 bytes]…` + x(9) + `\`},
		"control inside":  {`["` + x(50) + "\n" + x(50) + `"]`, 20, `["` + x(10) + `…[81 bytes]…` + x(10) + `"]`},
		"bad escape":      {`["` + x(50) + `\q` + x(50) + `"]`, 20, `["` + x(10) + `…[82 bytes]…` + x(10) + `"]`},
		"request":         {`{"type":"control_request","a":"` + x(100) + `"}`, 20, `{"type":"control_request","a":"` + x(100) + `"}`},
		"late request":    {`{"a":"` + x(100) + `","type":"control_request"}`, 20, `{"a":"` + x(100) + `","type":"control_request"}`},
		"Codex's request": {`{"method":"item/commandExecution/requestApproval","a":"` + x(100) + `"}`, 20, `{"method":"item/commandExecution/requestApproval","a":"` + x(100) + `"}`},
		"empty":           {"", 20, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			line := []byte(tt.line)
			if got := string(Preview(line, tt.max)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if string(line) != tt.line {
				t.Error("the line was written to")
			}
		})
	}
}

// TestPreviewOfLongLines checks that a decoded preview has the ends of the text.
func TestPreviewOfLongLines(t *testing.T) {
	t.Parallel()
	text := "head" + strings.Repeat("a \"line\"\n\t\\ é 😀\u2028", 50000) + "tail"
	line, err := json.Marshal(map[string]string{"text": text, "type": "user"})
	if err != nil {
		t.Fatal(err)
	}
	for limit := 1000; limit < 1100; limit++ {
		got := Preview(line, limit)
		if len(got) > limit+100 {
			t.Fatalf("limit %d: %d bytes", limit, len(got))
		}
		var m map[string]string
		if err := json.Unmarshal(got, &m); err != nil {
			t.Fatalf("limit %d: %v", limit, err)
		}
		head, rest, _ := strings.Cut(m["text"], "…[")
		_, tail, _ := strings.Cut(rest, " bytes]…")
		if !strings.HasPrefix(text, head) || !strings.HasSuffix(text, tail) || len(head) < 300 || len(tail) < 300 {
			t.Fatalf("limit %d: %q", limit, m["text"])
		}
	}
}

func FuzzPreview(f *testing.F) {
	f.Add([]byte(`{"a":"\ud83d\ude00 é \\\" x","b":[1,"long long long long long long long long"],"k":{"long long long long key":null}}`), 8)
	f.Add([]byte(`{"type":"control_request","b":"long long long long long long long long"}`), 4)
	f.Add([]byte(`["`+strings.Repeat(`\u00e9`, 20)+`"]`), 7)
	f.Add([]byte("[\""+strings.Repeat("é\\n", 20)+"\"]"), 9)
	f.Fuzz(func(t *testing.T, line []byte, limit int) {
		limit %= 64
		got := Preview(line, limit)
		if len(got) > len(line) {
			t.Fatalf("grew from %d to %d bytes", len(line), len(got))
		}
		if json.Valid(line) && !json.Valid(got) {
			t.Fatalf("no longer valid: %q", got)
		}
		if utf8.Valid(line) && !utf8.Valid(got) {
			t.Fatalf("not UTF-8: %q", got)
		}
		if !json.Valid(line) {
			return
		}
		var before, after any
		if json.Unmarshal(line, &before) == nil && json.Unmarshal(got, &after) == nil {
			comparePreview(t, before, after)
		}
	})
}

// comparePreview checks that keys and everything but long texts are the same.
func comparePreview(t *testing.T, before, after any) {
	t.Helper()
	switch b := before.(type) {
	case map[string]any:
		a, ok := after.(map[string]any)
		if !ok || len(a) != len(b) {
			t.Fatalf("%v became %v", before, after)
		}
		for k := range b {
			if _, ok := a[k]; !ok {
				t.Fatalf("key %q is gone", k)
			}
			comparePreview(t, b[k], a[k])
		}
	case []any:
		a, ok := after.([]any)
		if !ok || len(a) != len(b) {
			t.Fatalf("%v became %v", before, after)
		}
		for i := range b {
			comparePreview(t, b[i], a[i])
		}
	case string:
		a, ok := after.(string)
		if !ok || a != b && !strings.Contains(a, " bytes]…") {
			t.Fatalf("%q became %q", before, after)
		}
	default:
		if before != after {
			t.Fatalf("%v became %v", before, after)
		}
	}
}

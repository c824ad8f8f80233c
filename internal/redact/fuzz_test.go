package redact

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// naiveFind reports whether data holds a run that must be replaced, in the slow and obvious way.
func naiveFind(secret string, data []byte) bool {
	for _, form := range forms(secret) {
		size := min(minRun, len(form))
		for i := range len(data) - size + 1 {
			if strings.Contains(form, string(data[i:i+size])) {
				return true
			}
		}
	}
	return false
}

func FuzzBytes(f *testing.F) {
	f.Add("hunter2!", []byte(`{"a":"`), []byte(`","b":1}`), uint8(3))
	f.Add("12345678", []byte(`{"a":-`), []byte(`.5,"b":"\\\""}`), uint8(0))
	f.Add(jwt(5, 200), []byte(`Bearer `), []byte("\nmore"), uint8(9))
	f.Add(`back\slash"quote`, []byte(`{"a":"\`), []byte(`"}`), uint8(1))
	f.Add("ünïcödé-secret", []byte("\xc3"), []byte("\xbc"), uint8(5))
	f.Fuzz(func(t *testing.T, secret string, before, after []byte, which uint8) {
		secret = strings.TrimSpace(secret)
		if len(secret) < MinSecretBytes || len(secret) > 200 || strings.Contains(Replacement, secret) {
			return
		}
		if len(before)+len(after) > 500 {
			return
		}
		set := New([]byte(secret))
		all := forms(secret)
		form := all[int(which)%len(all)]
		data := bytes.Join([][]byte{before, []byte(form), after}, nil)
		kept := bytes.Clone(data)

		got := set.Bytes(data)
		if !bytes.Equal(data, kept) {
			t.Fatalf("input was changed")
		}
		if !bytes.Contains(got, []byte(Replacement)) && !bytes.HasPrefix(data, []byte("{")) {
			t.Fatalf("form %q of %q not found in %q", form, secret, data)
		}
		for _, rest := range bytes.Split(got, []byte(Replacement)) {
			if naiveFind(secret, rest) {
				t.Fatalf("secret %q survives in %q", secret, got)
			}
		}
		inSyntax := strings.ContainsAny(secret, "\"{}[]:, \n\t\r") || strings.ContainsAny(secret, "truefalsn")
		if bytes.HasPrefix(data, []byte("{")) && json.Valid(data) && !inSyntax && !json.Valid(got) {
			t.Fatalf("valid %q became invalid %q", data, got)
		}

		clean := bytes.Join([][]byte{before, after}, []byte("|"))
		if bytes.ContainsAny(clean, "\n\r\\") || naiveFind(secret, clean) {
			return
		}
		if got := set.Bytes(clean); !bytes.Equal(got, clean) {
			t.Fatalf("clean %q became %q", clean, got)
		}
		if got := streamed(set, string(clean), 1, 2, 5); got != string(clean) {
			t.Fatalf("clean stream %q became %q", clean, got)
		}
	})
}

// FuzzJSON puts a secret into a JSON string and checks that the line stays one.
func FuzzJSON(f *testing.F) {
	f.Add("hunter2!", "a\nb\\", "\u2028<\"")
	f.Add("n12345678", "\\", "é")
	f.Add("u00e9abcdefgh", "\\\x01", "\x02")
	f.Fuzz(func(t *testing.T, secret, before, after string) {
		secret = strings.TrimSpace(secret)
		if len(secret) < MinSecretBytes || len(secret) > 200 || strings.ContainsAny(secret, `"`) {
			return
		}
		line, err := json.Marshal(map[string]string{"text": before + secret + after})
		if err != nil {
			t.Fatal(err)
		}
		got := New([]byte(secret)).Bytes(line)
		var out map[string]string
		if err := json.Unmarshal(got, &out); err != nil {
			t.Fatalf("%s became %s: %v", line, got, err)
		}
	})
}

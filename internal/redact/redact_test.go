package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// jwt returns a token of the shape and size of the vendors' access tokens.
func jwt(seed uint64, size int) string {
	rnd := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	text := base64.RawURLEncoding.EncodeToString(b)[:size]
	return "eyJhbGciOiJSUzI1NiIsImtpZCI6I" + text[30:size/3] + "." + text[size/3:size/3*2] + "." + text[size/3*2:]
}

func mustJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// encodings returns text as programs print it, made by the standard library and not by the code under test.
func encodings(t testing.TB, text string) map[string]string {
	quoted := strings.Trim(mustJSON(t, text), `"`)
	var noHTML bytes.Buffer
	enc := json.NewEncoder(&noHTML)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{
		"plain":      text,
		"json":       quoted,
		"json raw":   strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(noHTML.String()), `"`), `"`),
		"json slash": strings.ReplaceAll(quoted, "/", `\/`),
		"json twice": strings.TrimSuffix(strings.TrimPrefix(mustJSON(t, quoted), `"`), `"`),
		"query":      url.QueryEscape(text),
		"path":       url.PathEscape(text),
		"hex":        hex.EncodeToString([]byte(text)),
		"HEX":        strings.ToUpper(hex.EncodeToString([]byte(text))),
	}
	for _, before := range []string{"", "u", "u:", "Bearer ", "x-access-token:"} {
		out["base64 std "+before] = base64.StdEncoding.EncodeToString([]byte(before + text + "!tail"))
		out["base64 url "+before] = base64.URLEncoding.EncodeToString([]byte(before + text))
	}
	return out
}

var secrets = map[string]string{
	"short":    "hunter2!",
	"medium":   "correct-horse/42",
	"unicode":  "pä$$wörd<&>\"\\ \U0001f511 and more",
	"api key":  "sk-ant-api03-Zm9vYmFyYmF6cXV4cXV1eGNvcmdlZ3JhdWx0Z2FycGx5d2FsZG8tAA",
	"jwt":      jwt(7, 1500),
	"slashes":  "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY+/=",
	"pem-like": "-----BEGIN KEY-----\n" + jwt(9, 96) + "\n" + jwt(10, 96) + "\n-----END KEY-----",
}

func TestBytesFindsEveryEncoding(t *testing.T) {
	t.Parallel()
	for name, secret := range secrets {
		for encoding, text := range encodings(t, secret) {
			t.Run(name+"/"+encoding, func(t *testing.T) {
				t.Parallel()
				got := string(New([]byte(secret)).Bytes([]byte("before: " + text + " :after")))
				if !strings.HasPrefix(got, "before: ") || !strings.HasSuffix(got, " :after") {
					t.Errorf("text beside the secret has changed: %q", got)
				}
				// The neighbours in a base64 text share up to two characters at either end, and padding.
				left := strings.TrimSuffix(strings.TrimPrefix(got, "before: "), " :after")
				if n := len(strings.ReplaceAll(left, Replacement, "")); n > 0 && !strings.HasPrefix(encoding, "base64") || n > 32 {
					t.Errorf("%d bytes left of %q: %q", n, text, got)
				}
				if !strings.Contains(got, Replacement) {
					t.Errorf("%q not found", text)
				}
			})
		}
	}
}

func TestBytesFindsParts(t *testing.T) {
	t.Parallel()
	secret := jwt(7, 1500)
	set := New([]byte(secret))
	for encoding, text := range encodings(t, secret) {
		for _, size := range []int{30, 60, 100, 500} {
			for _, from := range []int{40, 100, 333, 700} {
				part := text[from : from+size]
				if got := string(set.Bytes([]byte("<" + part + ">"))); got != "<[redacted]>" {
					t.Errorf("%s, %d bytes from %d: got %q", encoding, size, from, got)
				}
			}
		}
	}
}

func TestBytesFindsWrappedText(t *testing.T) {
	t.Parallel()
	secret := jwt(7, 1500)
	set := New([]byte(secret))
	for encoding, text := range encodings(t, secret) {
		for _, br := range []string{"\n", "\r\n", `\n`, `\r\n`, `\\n`, "\n      ", `\n    `} {
			for _, columns := range []int{16, 60, 64, 76} {
				var b strings.Builder
				b.WriteString("<" + text[:7])
				for rest := text[7:]; rest != ""; rest = rest[min(columns, len(rest)):] {
					b.WriteString(br + rest[:min(columns, len(rest))])
				}
				b.WriteString(">")
				got := string(set.Bytes([]byte(b.String())))
				if !strings.HasPrefix(encoding, "base64") && got != "<[redacted]>" || len(got) > 60 {
					t.Errorf("%s by %d with %q: got %q", encoding, columns, br, got)
				}
			}
		}
	}
}

func TestBytesReturnsCleanInput(t *testing.T) { // not parallel: it counts allocations
	set := benchmarkSet()
	clean := benchmarkText(1 << 16)
	got := set.Bytes(clean)
	if &got[0] != &clean[0] || len(got) != len(clean) {
		t.Error("clean input was copied or changed")
	}
	if n := testing.AllocsPerRun(10, func() { set.Bytes(clean) }); n != 0 {
		t.Errorf("%v allocations for clean input", n)
	}
	var empty Set
	if got := empty.Bytes(clean); &got[0] != &clean[0] {
		t.Error("the empty set copied its input")
	}
}

func TestBytesLeavesInputAlone(t *testing.T) {
	t.Parallel()
	in := []byte(`{"a":"hunter2!hunter2!"}`)
	kept := string(in)
	if got := string(New([]byte("hunter2!")).Bytes(in)); got != `{"a":"[redacted][redacted]"}` {
		t.Errorf("got %q", got)
	}
	if string(in) != kept {
		t.Errorf("input was changed to %q", in)
	}
}

func TestBytesKeepsJSONValid(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ secret, in, want string }{
		{"nfoobarbaz", `{"a":"x\nfoobarbaz"}`, `{"a":"x[redacted]"}`},
		{"nfoobarbaz", `{"a":"x\\nfoobarbaz"}`, `{"a":"x\\[redacted]"}`},
		{"9abcdefgh", `{"a":"\u00e9abcdefgh"}`, `{"a":"[redacted]"}`},
		{"e9abcdefgh", `{"a":"\\u00e9abcdefgh"}`, `{"a":"\\u00[redacted]"}`},
		{`abcdefgh\`, `{"a":"abcdefgh\"x"}`, `{"a":"[redacted]x"}`},
		{"12345678", `{"a":12345678,"b":"12345678"}`, `{"a":0,"b":"[redacted]"}`},
		{"12345678", `{"a":"\"","b":-99.12345678e-5}`, `{"a":"\"","b":0}`},
		{"12345678", `pin 12345678`, `pin [redacted]`},
		{"\xa4secretsecret", `{"a":"äsecretsecret"}`, `{"a":"[redacted]"}`},
	} {
		if got := string(New([]byte(tc.secret)).Bytes([]byte(tc.in))); got != tc.want {
			t.Errorf("Bytes(%s) with secret %q = %s, want %s", tc.in, tc.secret, got, tc.want)
		}
	}
}

func TestAddIgnoresWhatIsTooShort(t *testing.T) {
	t.Parallel()
	set := New([]byte("1234567"), nil, []byte("  \n"), []byte("  abcdefgh\n"))
	for in, want := range map[string]string{"1234567": "1234567", "abcdefgh": Replacement, "abcdefg": "abcdefg"} {
		if got := string(set.Bytes([]byte(in))); got != want {
			t.Errorf("Bytes(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestFormatHidesSecrets(t *testing.T) {
	t.Parallel()
	set := New([]byte("hunter2!"))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if got := fmt.Sprintf(verb, set); got != "redact.Set" {
			t.Errorf("%s prints %q", verb, got)
		}
	}
}

func TestAddWhileInUse(t *testing.T) {
	t.Parallel()
	set := New([]byte("first-secret-token"))
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for k := range 20 {
				secret := fmt.Appendf(nil, "token-%d-%d-renewed", i, k)
				set.Add(secret)
				if got := string(set.Bytes(secret)); got != Replacement {
					t.Errorf("%q was added, but got %q", secret, got)
				}
				if got := string(set.Bytes([]byte("first-secret-token"))); got != Replacement {
					t.Errorf("the first secret was lost: %q", got)
				}
			}
		})
	}
	wg.Wait()
}

func benchmarkSet() *Set {
	return New([]byte(jwt(1, 1500)), []byte(jwt(2, 1500)), []byte(secrets["api key"]))
}

// benchmarkText returns n bytes that resemble an agent's output: JSON lines with prose, code, ids and base64.
func benchmarkText(n int) []byte {
	rnd := rand.New(rand.NewPCG(3, 4))
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, `{"type":"assistant","uuid":"%016x%016x","message":{"content":[{"type":"text","text":"`, rnd.Uint64(), rnd.Uint64())
		b.WriteString(`The function returns an error if the file cannot be opened.\n\tif err != nil {\n\t\treturn fmt.Errorf(\"open: %w\", err)\n\t}\n`)
		if rnd.IntN(4) == 0 {
			fmt.Fprintf(&b, `%s`, jwt(rnd.Uint64(), 600)[30:])
		}
		b.WriteString("\"}]}}\n")
	}
	return b.Bytes()[:n]
}

func BenchmarkBytesClean(b *testing.B) {
	for _, size := range []int{300, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			set, text := benchmarkSet(), benchmarkText(size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				set.Bytes(text)
			}
		})
	}
}

func BenchmarkBytesCleanShortSecret(b *testing.B) {
	set, text := benchmarkSet(), benchmarkText(1<<20)
	set.Add([]byte("hunter2!"))
	b.SetBytes(1 << 20)
	for b.Loop() {
		set.Bytes(text)
	}
}

func BenchmarkBytesRandomBase64(b *testing.B) {
	set, text := benchmarkSet(), []byte(jwt(99, 1<<20)[30:])
	b.SetBytes(1 << 20)
	for b.Loop() {
		set.Bytes(text)
	}
}

func BenchmarkBytesOneSecret(b *testing.B) {
	set, text := benchmarkSet(), benchmarkText(1<<20)
	copy(text[1<<19:], jwt(1, 1500))
	b.SetBytes(1 << 20)
	for b.Loop() {
		set.Bytes(text)
	}
}

func BenchmarkAdd(b *testing.B) {
	for b.Loop() {
		benchmarkSet()
	}
}

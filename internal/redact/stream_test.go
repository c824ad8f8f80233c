package redact

import (
	"bytes"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// streamed returns what a stream of set makes of text when it is written in pieces of the given sizes, repeated.
func streamed(set *Set, text string, sizes ...int) string {
	var out bytes.Buffer
	stream := set.Stream()
	for i := 0; text != ""; i++ {
		n := min(sizes[i%len(sizes)], len(text))
		out.Write(stream.Write([]byte(text[:n])))
		text = text[n:]
	}
	out.Write(stream.Flush())
	return out.String()
}

func TestStreamAtEverySplit(t *testing.T) {
	t.Parallel()
	for name, secret := range secrets {
		set := New([]byte(secret))
		for encoding, text := range encodings(t, secret) {
			if strings.HasPrefix(encoding, "base64") {
				continue // the characters at the ends differ; see TestStreamOneByte
			}
			text = "say " + text + ", " + text + " twice"
			const want = "say [redacted], [redacted] twice"
			for at := 1; at < len(text); at += 1 + len(text)/400*40 { // long texts only at some places
				if got := streamed(set, text, at, len(text)); got != want {
					t.Errorf("%s/%s split at %d: got %q", name, encoding, at, got)
				}
			}
		}
	}
}

func TestStreamOneByte(t *testing.T) {
	t.Parallel()
	for name, secret := range secrets {
		set := New([]byte(secret))
		for encoding, text := range encodings(t, secret) {
			if len(text) > 600 {
				continue // such a write looks at everything withheld, which takes too long byte by byte
			}
			text = "say " + text + ", " + text + " twice"
			want := string(set.Bytes([]byte(text)))
			if got := streamed(set, text, 1); got != want {
				t.Errorf("%s/%s: got %q, want %q", name, encoding, got, want)
			}
		}
	}
}

func TestStreamFromReader(t *testing.T) {
	t.Parallel()
	set := New([]byte(secrets["jwt"]))
	stream := set.Stream()
	in := iotest.OneByteReader(strings.NewReader("key: " + secrets["jwt"] + "\n"))
	var out, piece []byte
	for piece = make([]byte, 64); ; {
		n, err := in.Read(piece)
		out = append(out, stream.Write(piece[:n])...)
		if err != nil {
			break
		}
	}
	if got := string(append(out, stream.Flush()...)); got != "key: [redacted]\n" {
		t.Errorf("got %q", got)
	}
}

func TestStreamShowsCleanTextAtOnce(t *testing.T) {
	t.Parallel()
	stream := New([]byte("Zecret-token-of-some-length")).Stream()
	for _, text := range []string{"Hello", ", this is\n", "ordinary text", ".\n\n", "zecret", "!"} {
		if got := string(stream.Write([]byte(text))); got != text {
			t.Errorf("Write(%q) = %q, want it back at once", text, got)
		}
	}
	if got := string(stream.Write([]byte("now Zec"))); got != "now " {
		t.Errorf("the start of a secret is not withheld: %q", got)
	}
	if got := string(stream.Write([]byte("h"))); got != "Zech" {
		t.Errorf("what turned out clean is still withheld: %q", got)
	}
}

func TestStreamFindsPartsAndWraps(t *testing.T) {
	t.Parallel()
	secret := secrets["jwt"]
	set := New([]byte(secret))
	wrapped := secret[:30] + "\n" + secret[30:90] + "\r\n" + secret[90:150] + "\n" + secret[150:155]
	if got := streamed(set, "<"+wrapped+">", 1); got != "<[redacted]>" {
		t.Errorf("wrapped: got %q", got)
	}
	got := streamed(set, "<"+secret[700:760]+">", 1)
	if shown := strings.Index(got, Replacement) - 1; shown < 0 || shown > 7 || !strings.HasSuffix(got, "[redacted]>") {
		t.Errorf("part: got %q", got)
	}
}

func TestStreamUsesSecretsAddedLater(t *testing.T) {
	t.Parallel()
	set := New()
	stream := set.Stream()
	if got := string(stream.Write([]byte("renewed-to"))); got != "renewed-to" {
		t.Errorf("empty set withholds %q", got)
	}
	set.Add([]byte("renewed-token-2"))
	got := string(stream.Write([]byte(" renewed-token-2 "))) + string(stream.Flush())
	if got != " [redacted] " {
		t.Errorf("got %q", got)
	}
}

func TestStreamWithholdsBoundedly(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("ab", 50)
	set := New([]byte(secret))
	stream := set.Stream()
	for range 10_000 {
		stream.Write([]byte("abab"))
		if held := len(stream.buf) - stream.sent; held > 2*set.matcher.Load().longest {
			t.Fatalf("%d bytes withheld", held)
		}
	}
}

// TestStreamEqualsBytes mixes whole secrets, their starts and clean text, written in random pieces.
func TestStreamEqualsBytes(t *testing.T) {
	t.Parallel()
	set := New([]byte(secrets["short"]), []byte(secrets["api key"]), []byte(secrets["slashes"]))
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.Custom(func(t *rapid.T) string {
			secret := rapid.SampledFrom([]string{secrets["short"], secrets["api key"], secrets["slashes"]}).Draw(t, "secret")
			switch rapid.IntRange(0, 2).Draw(t, "kind") {
			case 0:
				return secret
			case 1:
				return secret[:rapid.IntRange(0, len(secret)).Draw(t, "size")]
			default:
				return rapid.StringMatching(`[a-z \n.]{0,9}`).Draw(t, "text")
			}
		})
		text := " " + strings.Join(rapid.SliceOfN(part, 0, 6).Draw(t, "parts"), " ")
		sizes := rapid.SliceOfN(rapid.IntRange(1, 30), 1, 5).Draw(t, "sizes")
		want := string(set.Bytes([]byte(text)))
		if got := streamed(set, text, sizes...); got != want {
			t.Fatalf("text %q\n got %q\nwant %q", text, got, want)
		}
	})
}

func BenchmarkStreamDeltas(b *testing.B) {
	stream := benchmarkSet().Stream()
	delta := []byte(" token")
	b.ReportAllocs()
	for b.Loop() {
		stream.Write(delta)
	}
}

package redact

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"
)

// forms returns every form in which secret is looked for, without duplicates. Most tokens consist of characters that
// need no escaping, so that the many kinds of escaping below collapse into one form.
func forms(secret string) []string {
	plain := []string{secret}
	// A match continues across line breaks, so a secret of several lines is also found however it is wrapped.
	if joined := strings.NewReplacer("\n", "", "\r", "").Replace(secret); len(joined) >= MinSecretBytes {
		plain = append(plain, joined)
	}
	for shift := range 3 {
		plain = append(plain,
			base64Inside(base64.RawStdEncoding, secret, shift),
			base64Inside(base64.RawURLEncoding, secret, shift))
	}
	var all []string
	for _, p := range plain {
		all = append(all, p)
		if strings.Trim(p, alphanumeric+"-_.~") != "" { // else nothing needs escaping
			all = append(all, jsonForms(p)...)
			all = append(all, percentForms(p)...)
		}
	}
	inHex := hex.EncodeToString([]byte(secret))
	all = append(all, inHex, strings.ToUpper(inHex),
		percentEncode(secret, "", lowerHex), percentEncode(secret, "", upperHex))

	seen := make(map[string]bool, len(all))
	unique := all[:0]
	for _, f := range all {
		if !seen[f] {
			seen[f] = true
			unique = append(unique, f)
		}
	}
	return unique
}

// base64Inside returns the characters that secret determines alone when it is encoded after 3n+shift other bytes. The
// characters at either end that also hold bits of a neighbour are left out.
func base64Inside(enc *base64.Encoding, secret string, shift int) string {
	text := enc.EncodeToString([]byte("\x00\x00"[:shift] + secret))
	first := (shift*8 + 5) / 6
	last := (shift + len(secret)) * 8 / 6
	return text[first:last]
}

// jsonForms returns s as JSON encoders write it inside a string, and escaped a second time, as a tool that prints JSON
// appears in the agent's output.
func jsonForms(s string) []string {
	var out []string
	for _, style := range []jsonStyle{
		{},
		{html: true},
		{slash: true},
		{ascii: true},
		{html: true, ascii: true, upper: true},
	} {
		once := style.escape(s)
		out = append(out, once, jsonStyle{}.escape(once))
	}
	return out
}

// jsonStyle is what an encoder escapes beyond what RFC 8259 requires.
type jsonStyle struct {
	html  bool // <, > and &, as encoding/json does unless told otherwise
	slash bool // / as \/, as PHP does
	ascii bool // everything beyond ASCII, as Python does
	upper bool // hexadecimal digits in upper case, as Java and .NET do
}

// escape returns s as the inside of a JSON string.
func (j jsonStyle) escape(s string) string {
	unit := `\u%04x`
	if j.upper {
		unit = `\u%04X`
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		short := strings.IndexRune("\"\\\b\f\n\r\t", r)
		switch {
		case r == utf8.RuneError && n == 1:
			b.WriteByte(s[i])
		case short >= 0:
			b.WriteByte('\\')
			b.WriteByte(`"\bfnrt`[short])
		case r == '/' && j.slash:
			b.WriteString(`\/`)
		case r < 0x20, j.html && strings.ContainsRune("<>&\u2028\u2029", r), j.ascii && r >= 0x7f && r < 0x10000:
			fmt.Fprintf(&b, unit, r)
		case j.ascii && r >= 0x10000:
			fmt.Fprintf(&b, unit+unit, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// percentForms returns s as the common URL encoders write it, with hexadecimal digits of either case.
func percentForms(s string) []string {
	var out []string
	for _, keep := range []string{
		"-_.~",             // RFC 3986 unreserved; url.QueryEscape, Python
		"-_.~!'()*",        // encodeURIComponent
		"-_.~!'()*$&+,:=@", // path segments
		"-_.~!'()*$&+,:=@/;?#",
	} {
		for _, digits := range []string{upperHex, lowerHex} {
			out = append(out, percentEncode(s, keep+alphanumeric, digits))
			if strings.Contains(s, " ") {
				out = append(out, strings.ReplaceAll(percentEncode(s, keep+alphanumeric+" ", digits), " ", "+"))
			}
		}
	}
	return out
}

const (
	lowerHex     = "0123456789abcdef"
	upperHex     = "0123456789ABCDEF"
	alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// percentEncode writes every byte of s that is not in keep as % and two of the given digits.
func percentEncode(s, keep, digits string) string {
	var b strings.Builder
	for i := range len(s) {
		if strings.IndexByte(keep, s[i]) >= 0 {
			b.WriteByte(s[i])
		} else {
			b.WriteByte('%')
			b.WriteByte(digits[s[i]>>4])
			b.WriteByte(digits[s[i]&15])
		}
	}
	return b.String()
}

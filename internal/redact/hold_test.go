package redact

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The short way to find what must be held back agrees with the long one.
func TestHoldFromPlainAgrees(t *testing.T) {
	t.Parallel()
	for _, secrets := range [][]string{
		{"sk-ant-oat01-0123456789abcdefghijklmnopqrstuvwxyz", "sk-ant-ort01-zyxwvutsrqponmlkjihgfedcba9876543210"},
		{"password"},
		{"a\nmulti\"line\\secret of some length"},
	} {
		set := New()
		for _, s := range secrets {
			set.Add([]byte(s))
		}
		m := set.matcher.Load()
		rapid.Check(t, func(t *rapid.T) {
			form := rapid.SampledFrom(m.forms).Draw(t, "form")
			from := rapid.IntRange(0, len(form)).Draw(t, "from")
			to := rapid.IntRange(from, len(form)).Draw(t, "to")
			text := []byte(rapid.StringMatching(`[a-z \n]{0,12}`).Draw(t, "before") + form[from:to] + strings.Repeat("x", rapid.IntRange(0, 2).Draw(t, "after")))
			got, ok := m.holdFromPlain(text)
			if !ok {
				return
			}
			if want := m.holdPrefix(text); got != want {
				t.Errorf("%q: held from %d, want %d", text, got, want)
			}
		})
	}
}

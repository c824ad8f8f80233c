package egress

import (
	"strings"
	"testing"
)

func TestLacks(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ have, asked, lacks string }{
		{"packages github", "packages", ""},
		{"github.com", "github.com:443", ""},
		{"github.com", "github.com:22", "github.com:22"},
		{"github.com:443", "github.com", "github.com"},
		{"*.example.com", "a.example.com b.c.example.com *.d.example.com", ""},
		{"*.example.com", "example.com", "example.com"},
		{"example.com", "*.example.com", "*.example.com"},
		{"a.example.com", "a.example.com.evil.org", "a.example.com.evil.org"},
		{"*.example.com", "notexample.com", "notexample.com"},
		{"*.example.com:8443", "a.example.com", "a.example.com"},
		{"", "pypi.org", "pypi.org"},
		{"10.1.2.3:80", "10.1.2.3:80 10.1.2.4:80", "10.1.2.4:80"},
	} {
		have, err := Parse(strings.Fields(test.have)...)
		asked, aerr := Parse(strings.Fields(test.asked)...)
		if err != nil || aerr != nil {
			t.Fatal(err, aerr)
		}
		if got := strings.Join(have.Lacks(asked), " "); got != test.lacks {
			t.Errorf("%q lacks %q of %q, want %q", test.have, got, test.asked, test.lacks)
		}
	}
}

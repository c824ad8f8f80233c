package egress

import (
	"strings"
	"testing"
)

func target(t testing.TB, s string) Target {
	t.Helper()
	got, err := ParseTarget(s)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestRuleAllows(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		rule    string
		yes, no []string
	}{
		{"Example.com.", []string{"example.com:80", "example.com:443", "EXAMPLE.COM.:443"}, []string{
			"example.com:22", "example.com:8443", "a.example.com:443", "notexample.com:443", "example.com.evil.org:443",
		}},
		{"github.com:22", []string{"github.com:22"}, []string{"github.com:443", "gist.github.com:22"}},
		{"*.example.com", []string{"a.example.com:443", "a.b.example.com:80", "A.EXAMPLE.com:443"}, []string{
			"example.com:443", "aexample.com:443", "a.example.com:22", "a.example.com.evil.org:443", "1.2.3.4:443",
		}},
		{"*.example.com:8443", []string{"a.example.com:8443"}, []string{"a.example.com:443"}},
		{"10.0.0.7:8080", []string{"10.0.0.7:8080"}, []string{"10.0.0.7:80", "10.0.0.70:8080"}},
		{"8.8.8.8", []string{"8.8.8.8:443"}, []string{"8.8.4.4:443"}},
		{"[2606:4700::1]", []string{"[2606:4700:0::1]:443"}, []string{"[2606:4700::2]:443"}},
		{"host.ratchet.internal:5432", []string{"host.ratchet.internal:5432"}, []string{"host.ratchet.internal:443"}},
	} {
		rule, err := ParseRule(tc.rule)
		if err != nil {
			t.Errorf("ParseRule(%q): %v", tc.rule, err)
			continue
		}
		if again, err := ParseRule(rule.String()); err != nil || again != rule {
			t.Errorf("%q: %q reads back as %v, %v", tc.rule, rule, again, err)
		}
		for _, s := range tc.yes {
			if !rule.Allows(target(t, s)) {
				t.Errorf("%q does not allow %s", tc.rule, s)
			}
		}
		for _, s := range tc.no {
			if rule.Allows(target(t, s)) {
				t.Errorf("%q allows %s", tc.rule, s)
			}
		}
	}
}

func TestParseRuleRefuses(t *testing.T) {
	t.Parallel()
	for in, hint := range map[string]string{
		"*":                          "would allow everything",
		"*:443":                      "would allow everything",
		"*.com":                      "at least two labels",
		"*.*.example.com":            "first label",
		"a*.example.com":             "first label",
		"*.1.2.3.4":                  "needs a domain",
		"*.[::1]":                    "",
		"https://example.com":        "not a URL",
		"https://[::1]:443/":         "not a URL",
		"example.com/path":           "not a URL",
		"example.com:*":              "port",
		"example.com:443-445":        "port",
		"nas":                        "one label",
		"localhost:80":               "host.ratchet.internal:PORT",
		"a.localhost:80":             "host.ratchet.internal:PORT",
		"host.ratchet.internal":      "name the port",
		"*.ratchet.internal:80":      "wildcard",
		"*.host.ratchet.internal:80": "wildcard",
		"127.0.0.1:80":               "loopback",
		"[::1]:80":                   "loopback",
		"169.254.169.254":            "link-local",
		"[fe80::1]":                  "link-local",
		"0.0.0.0":                    "unspecified",
		"[::]":                       "unspecified",
		"224.0.0.1":                  "multicast",
		"255.255.255.255":            "reserved",
		"[64:ff9b::a00:1]":           "translated",
		"[2002:a00:1::]":             "translated",
		"[::7f00:1]":                 "translated",
		"[::ffff:127.0.0.1]":         "IPv6",
		"2130706433":                 "number",
		"bücher.example":             "punycode",
		"2606:4700::1":               "brackets",
	} {
		rule, err := ParseRule(in)
		if err == nil {
			t.Errorf("ParseRule(%q) = %v, want an error", in, rule)
		} else if !strings.Contains(err.Error(), hint) {
			t.Errorf("ParseRule(%q): %v; want a hint with %q", in, err, hint)
		}
		if rule != (Rule{}) {
			t.Errorf("ParseRule(%q) returned a rule with its error", in)
		}
	}
}

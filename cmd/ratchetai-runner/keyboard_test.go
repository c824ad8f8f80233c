package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEditor(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		reads []string
		sent  []string
		left  string
	}{
		{"a line", []string{"h", "i", "\n"}, []string{"hi"}, ""},
		{"carriage return", []string{"hi", "\r"}, []string{"hi"}, ""},
		{"nothing", []string{"\n", " ", "\n"}, nil, ""},
		{"backspace", []string{"é", "x", "\x7f", "\x7f", "\x7f", "a"}, nil, "a"},
		{"a word back", []string{"one two  ", "\x17"}, nil, "one "},
		{"all back", []string{"one two", "\x15", "x"}, nil, "x"},
		{"a character in pieces", []string{"w\xc3", "\xa9", "\n"}, []string{"wé"}, ""},
		{"cursor keys", []string{"a", "\x1b[A", "\x1b[1;5D", "\x1bOP", "b"}, nil, "ab"},
		{"pasted lines", []string{"one\ntwo\r\n"}, []string{"one\ntwo"}, ""},
		{"pasted lines without end", []string{"one\ntwo", "\n"}, []string{"one\ntwo"}, ""},
		{"control characters", []string{"a\x00\x04\tb"}, nil, "a\tb"},
		{"not text", []string{"a\xff\xfe", "b"}, nil, "a\ufffd\ufffdb"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var e editor
			var sent []string
			for _, r := range tc.reads {
				sent = append(sent, e.keys([]byte(r))...)
			}
			if diff := cmp.Diff(tc.sent, sent); diff != "" {
				t.Errorf("sent (-want +got):\n%s", diff)
			}
			if e.String() != tc.left {
				t.Errorf("left %q, want %q", e.String(), tc.left)
			}
		})
	}
}

package server

import (
	"strings"
	"unicode/utf8"
)

// namesMax bounds an id or a name, in bytes.
const namesMax = 200

// plain reports that s can be an id or a name: short, UTF-8, on one line.
func plain(s string) bool {
	return len(s) <= namesMax && utf8.ValidString(s) &&
		!strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// nameBytes are what an artifact's name is made of.
const nameBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

// fileName reports that s can be an artifact's name.
func fileName(s string) bool {
	return s != "" && len(s) <= namesMax && s[0] != '.' && strings.Trim(s, nameBytes) == ""
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What does not get onto a full disk is told by the message and the exit code.
func TestStdoutFull(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	if err := os.WriteFile(log, []byte(`{"type":"system","subtype":"init","model":"opus"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"decode", "--json", log}, {"decode", log}, {"--help"}, {"version"}} {
		said, err := os.Create(filepath.Join(dir, "err"))
		if err != nil {
			t.Fatal(err)
		}
		env := map[string]string{"HOME": dir}
		lookup := func(key string) (string, bool) { v, ok := env[key]; return v, ok }
		code := run(t.Context(), args, lookup, streams{Out: &stdout{File: full}, Err: said})
		said.Close()
		text, err := os.ReadFile(said.Name())
		if err != nil {
			t.Fatal(err)
		}
		if code != exitErrored || strings.Count(string(text), "no space left") != 1 {
			t.Errorf("%q: exit code %d: %s", args, code, text)
		}
	}
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestManPages(t *testing.T) {
	t.Parallel()
	a := &app{lookup: func(string) (string, bool) { return "", false }}
	root := a.root()
	dir := t.TempDir()
	if err := manPages(root, dir); err != nil {
		t.Fatal(err)
	}
	run, _, err := root.Find([]string{"run"})
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, name+"-run.1"))
	if err != nil {
		t.Fatal(err)
	}
	run.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if !strings.Contains(string(page), roff("--"+f.Name)+`\fR`) {
			t.Errorf("the page of run does not have --%s", f.Name)
		}
	})
	for _, want := range []string{name + ".1", name + "-sessions-show.1"} {
		if _, err := os.Stat(filepath.Join(dir, want)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, name+"-man.1")); err == nil {
		t.Error("a hidden command has a page")
	}
	if got, want := roff(".a\n'b \\ -c…"), "\\&.a\n\\&'b \\e \\-c\\[u2026]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

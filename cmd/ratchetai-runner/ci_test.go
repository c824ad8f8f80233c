package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

func TestStopCommands(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		actions  string
		view     viewFlags
		out, err bool
	}{
		{"elsewhere", "", viewFlags{}, false, false},
		{"GitHub Actions", "true", viewFlags{}, true, false},
		{"events", "true", viewFlags{json: true}, false, true},
		{"answer", "true", viewFlags{quiet: true}, false, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var files [2]*os.File
			for i := range files {
				f, err := os.Create(filepath.Join(t.TempDir(), "stream"))
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				files[i] = f
			}
			a := &app{streams: streams{Out: &stdout{File: files[0]}, Err: files[1]}, lookup: func(key string) (string, bool) {
				return tc.actions, key == "GITHUB_ACTIONS"
			}}
			a.stopCommands(tc.view)()
			for i, want := range []bool{tc.out, tc.err} {
				got, err := os.ReadFile(files[i].Name())
				if err != nil {
					t.Fatal(err)
				}
				m := regexp.MustCompile(`^::stop-commands::(\w{20,})\n::(\w+)::\n$`).FindSubmatch(got)
				if want != (m != nil && string(m[1]) == string(m[2])) || !want && len(got) > 0 {
					t.Errorf("stream %d got %q", i+1, got)
				}
			}
		})
	}
}

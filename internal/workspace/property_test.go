package workspace

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// parts are what random paths are made of: names of the table and others.
var parts = []string{".vscode", ".husky", ".claude", ".mcp.json", "x.run.xml", "node_modules", "a", "b", "settings.json", ".github"}

// naive returns what every guarded file holds, found without any of the
// package's walk: a file counts when a part of its path is guarded.
func naive(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		for _, part := range strings.Split(rel, "/") {
			if part == "node_modules" {
				return nil
			}
			if slices.Contains([]string{".vscode", ".husky", ".claude", ".mcp.json"}, part) || strings.HasSuffix(part, ".run.xml") {
				data, err := os.ReadFile(path)
				info, _ := d.Info()
				files[rel] = fmt.Sprint(info.Mode(), sha256.Sum256(data))
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// mutate does something random in dir, which may fail.
func mutate(r *rand.Rand, dir string) {
	path := func() string {
		p := dir
		for range 1 + r.IntN(4) {
			p = filepath.Join(p, parts[r.IntN(len(parts))])
		}
		return p
	}
	switch p := path(); r.IntN(6) {
	case 0:
		_ = os.RemoveAll(p)
	case 1:
		_ = os.Rename(p, path())
	case 2:
		_ = os.Chmod(p, 0o700|os.FileMode(r.IntN(8)))
	default:
		_ = os.MkdirAll(filepath.Dir(p), 0o755)
		_ = os.WriteFile(p, []byte{byte(r.IntN(3))}, 0o644)
	}
}

// TestEveryChangeIsFound changes random trees in random ways. Every guarded file
// that differs is in a reported path, and every report has one that differs.
func TestEveryChangeIsFound(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	found := 0
	for round := range 50 {
		dir := t.TempDir()
		for range r.IntN(60) {
			mutate(r, dir)
		}
		before, naiveBefore := take(t, dir), naive(t, dir)
		for range r.IntN(12) {
			mutate(r, dir)
		}
		naiveAfter := naive(t, dir)
		changes := Compare(before, take(t, dir))
		reported := make([]int, len(changes))
		for _, file := range keys(naiveBefore, naiveAfter) {
			if naiveBefore[file] == naiveAfter[file] {
				continue
			}
			i := slices.IndexFunc(changes, func(c Change) bool { return below(file, c.Path) })
			if i < 0 {
				t.Fatalf("seed %d, round %d: %s is not in %v", seed, round, file, changes)
			}
			reported[i]++
			found++
		}
		if i := slices.Index(reported, 0); i >= 0 {
			t.Fatalf("seed %d, round %d: nothing of %v differs", seed, round, changes[i])
		}
	}
	if found < 20 {
		t.Errorf("only %d changes were made, this shows little", found)
	}
}

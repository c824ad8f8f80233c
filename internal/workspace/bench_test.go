package workspace

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// large makes a repository's working tree: files in directories of 12, ten of
// those in each directory above, and a node_modules with as many again.
func large(tb testing.TB, files int) string {
	tb.Helper()
	dir := tb.TempDir()
	for _, name := range []string{".git/objects", ".git/refs", ".git/hooks", ".vscode", ".claude/commands"} {
		mustDir(tb, filepath.Join(dir, name))
	}
	for _, name := range []string{".git/HEAD", ".git/config", ".vscode/settings.json", ".claude/settings.json", ".mcp.json"} {
		mustFile(tb, filepath.Join(dir, name), "{}\n")
	}
	for i := range 14 {
		mustFile(tb, filepath.Join(dir, fmt.Sprintf(".git/hooks/sample-%d", i)), "#!/bin/sh\n")
	}
	for n := 0; n < files; n += 12 {
		top := "src"
		if n >= files/2 {
			top = vendored
		}
		d := filepath.Join(dir, top, fmt.Sprintf("group-%d/package-%d/part-%d", n/12000, n/1200%10, n/120%10), fmt.Sprint(n))
		mustDir(tb, d)
		for i := range min(12, files-n) {
			mustFile(tb, filepath.Join(d, fmt.Sprintf("module_%d.go", i)), "")
		}
	}
	return dir
}

func mustDir(tb testing.TB, name string) {
	tb.Helper()
	if err := os.MkdirAll(name, 0o755); err != nil {
		tb.Fatal(err)
	}
}

func mustFile(tb testing.TB, name, text string) {
	tb.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		tb.Fatal(err)
	}
}

// cpu is how long this process has used processors.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkTake is the look at the start and, with Compare, the one at the end.
// On a machine that does other things, cpu-ms/op says more than the time.
func BenchmarkTake(b *testing.B) {
	for _, files := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(files), func(b *testing.B) {
			dir := large(b, files)
			before, err := Take(b.Context(), dir, nil)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			used := cpu(b)
			for b.Loop() {
				after, err := Take(b.Context(), dir, nil)
				if err != nil || len(Compare(before, after)) > 0 || len(after.Tops) != 4 {
					b.Fatalf("%v, %v", after, err)
				}
			}
			b.ReportMetric(float64((cpu(b)-used).Microseconds())/1e3/float64(b.N), "cpu-ms/op")
		})
	}
}

// BenchmarkNew is what a start waits for before the engine is asked.
func BenchmarkNew(b *testing.B) {
	dir := large(b, 1_000)
	for b.Loop() {
		p, err := New(dir, nil, nil)
		if err != nil {
			b.Fatal(err)
		}
		held, err := Hold(dir, p.Hold, -1, -1)
		if err != nil || len(held) == 0 {
			b.Fatal(held, err)
		}
		if err := Release(dir, held); err != nil {
			b.Fatal(err)
		}
	}
}

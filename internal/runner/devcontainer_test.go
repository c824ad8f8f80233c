package runner

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// packed writes dir as a build context and returns its files: "NAME=CONTENT NAME->LINK".
func packed(t *testing.T, dir string) string {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := errors.Join(writeWorkspace(t.Context(), w, root), w.Close()); err != nil {
		t.Fatal(err)
	}
	var all []string
	for r := tar.NewReader(&b); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return strings.ReplaceAll(strings.Join(all, " "), "\n", `\n`)
		}
		if err != nil {
			t.Fatal(err)
		}
		switch h.Typeflag {
		case tar.TypeReg:
			text, _ := io.ReadAll(r)
			all = append(all, h.Name+"="+string(text))
		case tar.TypeSymlink:
			all = append(all, h.Name+"->"+h.Linkname)
		}
	}
}

// What the builder gets of a workspace is what stands in it, links as links.
func TestWriteWorkspace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := filepath.Join(t.TempDir(), "secret")
	for name, text := range map[string]string{
		secret: "secret", dir + "/kept": "kept", dir + "/left/out": "x", dir + "/left/in": "in", dir + "/.dockerignore": "left\n!left/in\n",
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(secret, dir+"/link"); err != nil {
		t.Fatal(err)
	}
	if got := packed(t, dir); got != `.dockerignore=left\n!left/in\n kept=kept left/in=in link->`+secret {
		t.Errorf("context: %s", got)
	}
}

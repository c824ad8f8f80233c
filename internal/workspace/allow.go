package workspace

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// AllowPath returns name, which is relative to the workspace dir or an absolute
// path in it, as New and Take want it.
func AllowPath(dir, name string) (string, error) {
	rel := filepath.Clean(name)
	if filepath.IsAbs(rel) {
		var ok bool
		if rel, ok = strings.CutPrefix(rel, dir+"/"); !ok {
			return "", fmt.Errorf("%s is not in the workspace %s", name, dir)
		}
	}
	if name == "" || rel == "." || !fs.ValidPath(rel) {
		return "", fmt.Errorf("%q is no path in the workspace; name a file or directory such as .vscode", name)
	}
	return rel, nil
}

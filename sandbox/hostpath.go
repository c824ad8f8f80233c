package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ErrNotOnHost says that the engine cannot see a path, because this program runs in a
// container itself and the path is not in one of its mounts.
var ErrNotOnHost = errors.New("the engine's machine does not see it")

// copyMax bounds a file that is copied for a sandbox.
const copyMax = 8 << 20

// ownMount is a mount of the container that this program runs in.
type ownMount struct {
	at       string // in here
	source   string // on the engine's machine; empty if it has none, as of a tmpfs
	readOnly bool
}

// ownMounts are all of them. With none, this program is not in a container of the
// engine's and every path is the engine's too.
type ownMounts []ownMount

// host returns where the engine's machine has path, and whether the owner of this
// container gave it to be read only. Links are followed here: on the machine an
// absolute one leads elsewhere.
func (o ownMounts) host(path string) (source string, readOnly bool, err error) {
	if len(o) == 0 {
		return path, false, nil
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", false, err
	}
	var best *ownMount
	for i, m := range o {
		if within(real, m.at) && (best == nil || len(m.at) > len(best.at)) {
			best = &o[i]
		}
		if m.at != real && within(m.at, real) {
			return "", false, fmt.Errorf("%s: %w: %s in it is another mount of this container, which a sandbox would not see; "+
				"keep mounts out of workspaces", path, ErrNotOnHost, m.at)
		}
	}
	if best == nil || best.source == "" {
		return "", false, fmt.Errorf("%s: %w: this program runs in a container and sandboxes are its siblings; "+
			"mount the directory into this container (volumes: in docker-compose.yml)", path, ErrNotOnHost)
	}
	return filepath.Join(best.source, strings.TrimPrefix(real, best.at)), best.readOnly, nil
}

// within reports whether clean path is dir or in it.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// place replaces the sources of r's mounts by what the engine's machine calls them.
// A file to be read that is in this container's own layer, as its CA certificates are, is
// copied into state, the sandbox's directory, first.
func (o ownMounts) place(r request, state string) error {
	var errs []error
	for i := range r.Host.Mounts {
		m := &r.Host.Mounts[i]
		source, readOnly, err := o.host(m.Source)
		if errors.Is(err, ErrNotOnHost) && m.ReadOnly {
			copied := filepath.Join(state, "file"+strconv.Itoa(i))
			if copyFile(copied, m.Source) == nil {
				source, _, err = o.host(copied)
			}
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		m.Source, m.ReadOnly = source, m.ReadOnly || readOnly
	}
	return errors.Join(errs...)
}

// copyFile copies the regular file at source, of copyMax bytes at most, for everybody
// to read.
func copyFile(target, source string) error {
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() > copyMax {
		return errors.New("not a small file")
	}
	data, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	if err := os.WriteFile(target, data, 0o644); err != nil {
		return err
	}
	return os.Chmod(target, 0o644) // whatever our umask is, the agent has to read it
}

package runner

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/devcontainer"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

const (
	// contextMax bounds the files of a workspace that are sent to the builder, in
	// bytes, contextFileMax the Dockerfile and the .dockerignore.
	contextMax     = 2 << 30
	contextFileMax = 1 << 20
	// dockerfileName is the Dockerfile's in the context: it may stand outside of it.
	dockerfileName = ".ratchetai.Dockerfile"
)

// Devcontainer returns what the devcontainer.json of the workspace dir asks for.
// allow is Task.AllowPaths.
func Devcontainer(dir string, allow []string) (devcontainer.Config, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return devcontainer.Config{}, fmt.Errorf("workspace: %w", err)
	}
	defer root.Close()
	c, err := devcontainer.Read(root, agent.Workspace)
	if err != nil {
		return c, fmt.Errorf("devcontainer: %w", err)
	}
	return c, checkMounts(&c, dir, allow)
}

// BuildDevcontainer builds the image that workspace describes and returns its tag.
// The engine's cache makes it fast when nothing has changed.
func (b Builder) BuildDevcontainer(ctx context.Context, workspace string, d devcontainer.Build) (string, error) {
	root, err := os.OpenRoot(workspace)
	if err != nil {
		return "", fmt.Errorf("workspace: %w", err)
	}
	defer root.Close()
	dockerfile, err := devcontainer.ReadFile(root, d.Dockerfile, contextFileMax)
	if err != nil {
		return "", fmt.Errorf("devcontainer: %s: %w", d.Dockerfile, err)
	}
	dir, err := root.OpenRoot(d.Context)
	if err != nil {
		return "", fmt.Errorf("devcontainer: context %s: %w", d.Context, err)
	}
	defer dir.Close()
	build := sandbox.Build{
		Tag:        fmt.Sprintf("%s-devcontainer:%x", repository, sha256.Sum256([]byte(workspace)))[:len(repository)+len("-devcontainer:")+16],
		Dockerfile: dockerfileName, Target: d.Target, Args: withProxy(maps.Clone(d.Args)),
		Files:   []sandbox.BuildFile{{Name: dockerfileName, Mode: 0o644, Content: dockerfile}},
		Labels:  map[string]string{labelKind: "devcontainer"},
		Context: func(t *tar.Writer) error { return writeWorkspace(ctx, t, dir) },
	}
	maps.DeleteFunc(build.Args, func(k, v string) bool { // a proxy's password is not the repository's
		return strings.HasSuffix(strings.ToLower(k), "_proxy") && strings.Contains(v, "@")
	})
	b.Progress("building " + build.Tag)
	return build.Tag, b.Engine.Build(ctx, build, b.Progress)
}

// writeWorkspace writes what is in dir and not ignored. Links stay links.
func writeWorkspace(ctx context.Context, t *tar.Writer, dir *os.Root) error {
	ignored, err := ignore(dir)
	if err != nil {
		return err
	}
	left := int64(contextMax)
	return fs.WalkDir(dir.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if skip, err := ignored.MatchesOrParentMatches(name); err != nil || skip {
			if err == nil && e.IsDir() && !ignored.Exclusions() {
				return fs.SkipDir
			}
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if left -= info.Size(); left < 0 {
			return fmt.Errorf("the context has more than %d GiB; leave something out by a .dockerignore", contextMax>>30)
		}
		return writeEntry(t, dir, name, info)
	})
}

// ignore reads .dockerignore.
func ignore(dir *os.Root) (*patternmatcher.PatternMatcher, error) {
	f, err := dir.OpenFile(".dockerignore", os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return patternmatcher.New(nil)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	patterns, err := ignorefile.ReadAll(io.LimitReader(f, contextFileMax))
	if err != nil {
		return nil, fmt.Errorf(".dockerignore: %w", err)
	}
	return patternmatcher.New(patterns)
}

// writeEntry writes one file, directory or link; sockets and the like are left out.
// A file that grows meanwhile is cut, one that shrinks is an error.
func writeEntry(t *tar.Writer, dir *os.Root, name string, info fs.FileInfo) error {
	h := &tar.Header{Name: name, Mode: int64(info.Mode().Perm())}
	switch {
	case info.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
		return t.WriteHeader(h)
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := dir.Readlink(name)
		if err != nil {
			return err
		}
		h.Typeflag, h.Linkname = tar.TypeSymlink, target
		return t.WriteHeader(h)
	case !info.Mode().IsRegular():
		return nil
	}
	f, err := dir.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	h.Typeflag, h.Size = tar.TypeReg, info.Size()
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	if _, err := io.CopyN(t, f, h.Size); err != nil {
		return fmt.Errorf("%s changed while it was read: %w", path.Base(name), err)
	}
	return nil
}

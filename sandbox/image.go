package sandbox

import (
	"archive/tar"
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/build"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
)

const (
	buildMax    = 30 * time.Minute
	buildLogMax = 1 << 20 // bytes of one progress message
)

// Build is an image to be built by the engine's classic builder, which every
// engine has.
type Build struct {
	Tag        string
	Dockerfile string // name among Files
	Files      []BuildFile
	Args       map[string]string
	Labels     map[string]string
	Target     string // stage of the Dockerfile; empty is the last one
	// Context adds more to the context than Files; nil adds nothing.
	Context func(*tar.Writer) error
}

// BuildFile is a file of the build's context: Content, or what Load returns, or the file at
// Path.
type BuildFile struct {
	Name    string
	Mode    int64
	Content []byte
	Load    func() []byte
	Path    string
}

// ImageInfo is a local image under one of its tags. Images share what they have
// in common, so their sizes do not add up.
type ImageInfo struct {
	Tag   string
	Bytes int64
}

// Images returns the local images whose repository matches pattern, such as
// "name*".
func (d *Docker) Images(ctx context.Context, pattern string) ([]ImageInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	all, err := d.api.ImageList(ctx, image.ListOptions{Filters: filters.NewArgs(filters.Arg("reference", pattern))})
	if err != nil {
		return nil, d.fail("list images", err)
	}
	var infos []ImageInfo
	for _, i := range all {
		for _, tag := range i.RepoTags {
			infos = append(infos, ImageInfo{Tag: tag, Bytes: i.Size})
		}
	}
	return infos, nil
}

// Build builds b and calls progress with each line that the builder prints. A
// base image that is not there is pulled. It takes minutes, half an hour at most.
func (d *Docker) Build(ctx context.Context, b Build, progress func(string)) error {
	ctx, cancel := context.WithTimeout(ctx, buildMax)
	defer cancel()
	args := make(map[string]*string, len(b.Args))
	for k, v := range b.Args {
		args[k] = &v
	}
	r, w := io.Pipe()
	defer r.Close()
	go func() { w.CloseWithError(writeContext(w, b)) }()
	labels := map[string]string{labelImage: b.Tag}
	maps.Copy(labels, b.Labels)
	resp, err := d.api.ImageBuild(ctx, r, build.ImageBuildOptions{
		Version: build.BuilderV1, Tags: []string{b.Tag}, Dockerfile: b.Dockerfile, BuildArgs: args,
		Labels: labels, Target: b.Target, Remove: true, ForceRemove: true,
	})
	if err != nil {
		return d.fail("build image "+b.Tag, err)
	}
	defer resp.Body.Close()
	if err := readBuild(resp.Body, progress); err != nil {
		return fmt.Errorf("build image %s: %w", b.Tag, err)
	}
	return nil
}

// RemoveImage deletes the local image ref; one that is gone is no error.
func (d *Docker) RemoveImage(ctx context.Context, ref string) error {
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	_, err := d.api.ImageRemove(ctx, ref, image.RemoveOptions{PruneChildren: true})
	if err == nil || errdefs.IsNotFound(err) {
		return nil
	}
	return d.fail("remove image "+ref, err)
}

func writeContext(w io.Writer, b Build) error {
	t := tar.NewWriter(w)
	if b.Context != nil {
		if err := b.Context(t); err != nil {
			return fmt.Errorf("build context: %w", err)
		}
	}
	for _, f := range b.Files {
		if err := writeFile(t, f); err != nil {
			return fmt.Errorf("build context %s: %w", f.Name, err)
		}
	}
	return t.Close()
}

// writeFile adds f without its time: the builder's cache goes by content.
func writeFile(t *tar.Writer, f BuildFile) error {
	if f.Load != nil {
		f.Content = f.Load()
	}
	h := &tar.Header{Name: f.Name, Mode: f.Mode, Size: int64(len(f.Content))}
	if f.Path == "" {
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		_, err := t.Write(f.Content)
		return err
	}
	file, err := os.Open(f.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	h.Size = info.Size()
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.Copy(t, file)
	return err
}

// readBuild follows the builder's messages to the end; the error is its last.
func readBuild(r io.Reader, progress func(string)) error {
	s := bufio.NewScanner(r)
	s.Buffer(nil, buildLogMax)
	for s.Scan() {
		var m struct {
			Stream string `json:"stream"`
			Status string `json:"status"`
			ID     string `json:"id"`
			Error  string `json:"error"`
		}
		if err := json.Unmarshal(s.Bytes(), &m); err != nil {
			continue
		}
		if m.Error != "" {
			return errors.New(m.Error)
		}
		if m.Status != "" && m.ID == "" {
			m.Stream = m.Status
		}
		for line := range strings.SplitSeq(m.Stream, "\n") {
			if line = strings.TrimSpace(line); line != "" {
				progress(line)
			}
		}
	}
	return s.Err()
}

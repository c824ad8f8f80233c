package main

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/docker/docker/api/types/container" //nolint:depguard // the bare engine is what sandboxes are compared with
	"github.com/docker/docker/api/types/filters"   //nolint:depguard // same
	"github.com/docker/docker/api/types/image"     //nolint:depguard // same
	"github.com/docker/docker/client"              //nolint:depguard // same
	"github.com/docker/docker/pkg/stdcopy"         //nolint:depguard // same
	"github.com/docker/go-units"
)

const bareLabel = "ratchetai.bench"

// bare is the engine without package sandbox: what a program would do that starts
// a container with the same hardening and reads its output.
type bare struct {
	api   *client.Client
	image string
	user  string
	owner string // of the containers, for the clean-up
}

// run creates, attaches and starts a container of the probe and copies its stdout
// to w until it ends or ctx does. Then it removes the container.
func (b *bare) run(ctx context.Context, w io.Writer, args ...string) error {
	pids := int64(512)
	c, err := b.api.ContainerCreate(ctx, &container.Config{
		Image: b.image, Entrypoint: append([]string{"/probe"}, args...), User: b.user, WorkingDir: "/",
		Labels: map[string]string{bareLabel: b.owner}, AttachStdout: true, AttachStderr: true, NetworkDisabled: true,
	}, &container.HostConfig{
		NetworkMode: "none", LogConfig: container.LogConfig{Type: "none"}, ReadonlyRootfs: true,
		CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges"}, ShmSize: 1 << 30,
		Tmpfs: map[string]string{"/tmp": "rw,exec,nosuid,nodev,mode=1777,size=1073741824"},
		Resources: container.Resources{
			Memory: 4 << 30, MemorySwap: 4 << 30, NanoCPUs: 2e9, PidsLimit: &pids,
			Ulimits: []*units.Ulimit{{Name: "core"}, {Name: "nofile", Soft: 16384, Hard: 16384}},
		},
	}, nil, nil, "")
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	defer func() {
		_ = b.api.ContainerRemove(context.WithoutCancel(ctx), c.ID, container.RemoveOptions{Force: true})
	}()
	live, err := b.api.ContainerAttach(ctx, c.ID, container.AttachOptions{Stream: true, Stdout: true, Stderr: true})
	if err != nil {
		return fmt.Errorf("attach: %w", err)
	}
	defer live.Close()
	exit, fail := b.api.ContainerWait(ctx, c.ID, container.WaitConditionNextExit)
	if err := b.api.ContainerStart(ctx, c.ID, container.StartOptions{}); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	stop := context.AfterFunc(ctx, live.Close)
	defer stop()
	if _, err := stdcopy.StdCopy(w, os.Stderr, live.Reader); err != nil || ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case <-exit:
		return nil
	case err := <-fail:
		return fmt.Errorf("wait: %w", err)
	}
}

// firstByte returns the time from before the create to the first byte of output.
func (b *bare) firstByte(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	start := time.Now()
	var m meter
	m.onFirst = cancel
	if err := b.run(ctx, &m, "first"); err != nil && m.bytes.Load() == 0 {
		return 0, err
	}
	return m.first.Sub(start), nil
}

// pid returns the host's pid of the first process of the container with this name.
func (b *bare) pid(ctx context.Context, name string) (int, error) {
	c, err := b.api.ContainerInspect(ctx, name)
	if err != nil {
		return 0, err
	}
	return c.State.Pid, nil
}

// makeImage makes an image of the given files (path in it: path here), all
// executable, and of what sessions mount something on, as in images/final.Dockerfile
// and its base.
func (b *bare) makeImage(ctx context.Context, tag string, files map[string]string) error {
	var context bytes.Buffer
	w := tar.NewWriter(&context)
	for _, dir := range []string{"etc", "tmp", "home/agent", "run/login", "run/ratchetai", "workspace"} {
		if err := w.WriteHeader(&tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: 0o755}); err != nil {
			return err
		}
	}
	for _, file := range []string{"etc/group", "etc/hosts", "etc/passwd"} {
		if err := w.WriteHeader(&tar.Header{Name: file, Mode: 0o644}); err != nil {
			return err
		}
	}
	for name, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(data))}); err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	answer, err := b.api.ImageImport(ctx, image.ImportSource{Source: &context, SourceName: "-"}, tag, image.ImportOptions{})
	if err != nil {
		return fmt.Errorf("import the image: %w", err)
	}
	defer answer.Close()
	_, err = io.Copy(io.Discard, answer)
	return err
}

// close removes what an interrupted run has left, and the image.
func (b *bare) close(ctx context.Context) {
	all, _ := b.api.ContainerList(ctx, container.ListOptions{
		All: true, Filters: filters.NewArgs(filters.Arg("label", bareLabel+"="+b.owner)),
	})
	for _, c := range all {
		_ = b.api.ContainerRemove(ctx, c.ID, container.RemoveOptions{Force: true})
	}
	_, _ = b.api.ImageRemove(ctx, b.image, image.RemoveOptions{Force: true})
	_ = b.api.Close()
}

func newBare(owner, user string) (*bare, error) {
	api, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		return nil, err
	}
	return &bare{api: api, image: "ratchetai-bench:" + owner, user: user, owner: owner}, nil
}

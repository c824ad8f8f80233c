package sandbox

import (
	"context"
	"fmt"
	"io/fs"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
)

const (
	labelLook = "ratchetai.look"
	// lookOld is the age above which a container of Look's belongs to nobody.
	lookOld = 5 * time.Minute
)

// Look returns those of paths that are in the local image, with their modes: files,
// directories and links, also those that lead nowhere. Nothing of the image runs: it is the
// file system of a container that is never started.
func (d *Docker) Look(ctx context.Context, image string, paths ...string) (map[string]fs.FileMode, error) {
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	d.lookedLongAgo(ctx)
	c, err := d.create(ctx, request{Config: &container.Config{
		Image: image, Entrypoint: []string{InitPath}, Labels: map[string]string{labelLook: ""}, NetworkDisabled: true,
	}, Host: &container.HostConfig{NetworkMode: "none"}})
	if err != nil {
		return nil, d.fail("look into image "+image, err)
	}
	defer func() { _ = d.remove(context.WithoutCancel(ctx), c.ID) }()
	found := make(map[string]fs.FileMode)
	for _, path := range paths {
		stat, err := d.api.ContainerStatPath(ctx, c.ID, path)
		if errdefs.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, d.fail(fmt.Sprintf("look for %s in image %s", path, image), err)
		}
		found[path] = stat.Mode
	}
	return found, nil
}

// lookedLongAgo removes what a runner left that was killed in Look.
func (d *Docker) lookedLongAgo(ctx context.Context) {
	all, _ := d.api.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", labelLook))})
	for _, c := range all {
		if time.Since(time.Unix(c.Created, 0)) > lookOld {
			_ = d.remove(ctx, c.ID)
		}
	}
}

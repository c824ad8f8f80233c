package sandbox

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
)

// labelImage is on every image that Build makes, with the tag that it was given:
// an image that somebody derives from one of them has the label and another tag.
const labelImage = "ratchetai.image"

// Image is an image that the engine has.
type Image struct {
	ID      string
	Tag     string   // that Build gave it; empty for others'
	Digests []string // name@sha256:…, by which registries know it
	OS      string
	Arch    string // of Go
	Path    string // PATH in its environment
	Bytes   int64  // images share what they have in common, so this does not add up
	Created time.Time
	Labels  map[string]string
	// Sessions are the ids of the sandboxes that were made from it and are not
	// removed; only BuiltImages sets it.
	Sessions []string
}

// Image returns the local image ref, or ErrNoImage.
func (d *Docker) Image(ctx context.Context, ref string) (Image, error) {
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	i, err := d.api.ImageInspect(ctx, ref)
	if errdefs.IsNotFound(err) {
		return Image{}, fmt.Errorf("image %s: %w", ref, ErrNoImage)
	}
	if err != nil {
		return Image{}, d.fail("inspect image "+ref, err)
	}
	img := Image{ID: i.ID, Digests: i.RepoDigests, OS: i.Os, Arch: i.Architecture, Bytes: i.Size}
	if i.Config != nil {
		img.Labels = i.Config.Labels
		for _, e := range i.Config.Env {
			if path, ok := strings.CutPrefix(e, "PATH="); ok {
				img.Path = path
			}
		}
	}
	return img, nil
}

// BuiltImages returns the images that Build made, for whichever runner.
func (d *Docker) BuiltImages(ctx context.Context) ([]Image, error) {
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	all, err := d.api.ImageList(ctx, image.ListOptions{Filters: filters.NewArgs(filters.Arg("label", labelImage))})
	if err != nil {
		return nil, d.fail("list images", err)
	}
	containers, err := d.api.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", labelSession))})
	if err != nil {
		return nil, d.fail("list sandboxes", err)
	}
	sessions := make(map[string][]string)
	for _, c := range containers {
		sessions[c.ImageID] = append(sessions[c.ImageID], c.Labels[labelSession])
	}
	var built []Image
	for _, i := range all {
		for _, tag := range i.RepoTags {
			if tag == i.Labels[labelImage] {
				built = append(built, Image{
					ID: i.ID, Tag: tag, Bytes: i.Size, Created: time.Unix(i.Created, 0), Labels: i.Labels, Sessions: sessions[i.ID],
				})
			}
		}
	}
	return built, nil
}

// RemoveBuilt deletes an image of BuiltImages, or returns ErrImageInUse.
func (d *Docker) RemoveBuilt(ctx context.Context, i Image) error {
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	_, err := d.api.ImageRemove(ctx, i.Tag, image.RemoveOptions{PruneChildren: true})
	switch {
	case err == nil || errdefs.IsNotFound(err):
		return nil
	case errdefs.IsConflict(err):
		return fmt.Errorf("remove image %s: %w", i.Tag, ErrImageInUse)
	}
	return d.fail("remove image "+i.Tag, err)
}

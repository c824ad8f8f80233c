//go:build e2e

package sandbox_test

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// Images that somebody derives from ours are theirs, and one that a sandbox was made
// from is not removed.
func TestBuiltImages(t *testing.T) {
	t.Parallel()
	ctx, d := testContext(t), newDocker(t)
	ours, theirs := "ratchetai-sandboxtest:"+uuid.NewString(), "ratchetai-sandboxtest:"+uuid.NewString()
	err := d.Build(ctx, sandbox.Build{
		Tag: ours, Dockerfile: "Dockerfile", Labels: map[string]string{"test": "yes"},
		Files: []sandbox.BuildFile{{Name: "Dockerfile", Mode: 0o644, Content: []byte("FROM " + testImage + "\nENV PATH=/here\n")}},
	}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	derive := exec.Command("docker", "build", "-q", "-t", theirs, "-")
	derive.Env = append(os.Environ(), "DOCKER_BUILDKIT=0")
	derive.Stdin = strings.NewReader("FROM " + ours + "\nENV MORE=1\n")
	if out, err := derive.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	defer d.RemoveImage(ctx, theirs)
	spec := newSpec(t, "env")
	spec.Image = ours
	p := start(t, d, spec)
	find := func(tag string) (sandbox.Image, bool) {
		all, err := d.BuiltImages(ctx)
		if err != nil {
			t.Fatal(err)
		}
		n := slices.IndexFunc(all, func(i sandbox.Image) bool { return i.Tag == tag })
		if n < 0 {
			return sandbox.Image{}, false
		}
		return all[n], true
	}
	if _, ok := find(theirs); ok {
		t.Error("an image that was derived by somebody else counts as built")
	}
	image, ok := find(ours)
	if !ok || !slices.Equal(image.Sessions, []string{spec.ID}) || image.Labels["test"] != "yes" {
		t.Fatalf("built image: %+v, %v", image, ok)
	}
	if err := d.RemoveBuilt(ctx, image); !errors.Is(err, sandbox.ErrImageInUse) {
		t.Errorf("removing an image in use: %v", err)
	}
	if _, ok := find(ours); !ok {
		t.Fatal("an image in use was removed")
	}
	finish(t, p)
	if err := p.Remove(ctx); err != nil {
		t.Fatal(err)
	}
	if err := d.RemoveBuilt(ctx, image); err != nil {
		t.Error(err)
	}
	if _, ok := find(ours); ok {
		t.Error("the image was not removed")
	}
}

//go:build e2e

package sandbox_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/image"
	"github.com/google/uuid"
	"github.com/testcontainers/testcontainers-go"

	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// TestImageWeakensNothing runs an image whose configuration asks for everything
// that a sandbox decides itself: user, entrypoint, command and health check.
func TestImageWeakensNothing(t *testing.T) {
	t.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
	ctx := testContext(t)
	dir := t.TempDir()
	dockerfile := fmt.Sprintf(`FROM %s
ENV FROM_IMAGE=yes PATH=/nowhere
USER 0
VOLUME /data
ENTRYPOINT ["/nonexistent"]
CMD ["nonsense"]
HEALTHCHECK --interval=1s CMD ["/probe", "exit", "1"]
`, testImage)
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o600); err != nil {
		t.Fatal(err)
	}
	builder, err := testcontainers.NewDockerProvider()
	if err != nil {
		t.Fatal(err)
	}
	defer builder.Close()
	tag, err := builder.BuildImage(ctx, &testcontainers.ContainerRequest{FromDockerfile: testcontainers.FromDockerfile{
		Context: dir, Repo: "ratchetai-sandboxtest", Tag: uuid.NewString(), KeepImage: true,
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer builder.Client().ImageRemove(context.Background(), tag, image.RemoveOptions{Force: true})
	spec := newSpec(t, "env")
	spec.Image = tag
	p := start(t, newDocker(t), spec)
	c, err := builder.Client().ContainerInspect(ctx, "ratchetai-"+spec.ID)
	if err != nil {
		t.Fatal(err)
	}
	if c.State.Health != nil && c.State.Health.Status != "none" {
		t.Errorf("the image's health check runs: %+v", c.State.Health)
	}
	if c.Config.User != spec.User {
		t.Errorf("runs as %q", c.Config.User)
	}
	out, stderr, r := finish(t, p)
	if r.Cause != sandbox.Exited || r.ExitCode != 0 {
		t.Errorf("ended by %+v: %s", r, stderr)
	}
	for _, want := range []string{"FROM_IMAGE=yes\n", "PATH=/\n", `args ["env"]`} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is not in %q", want, out)
		}
	}
}

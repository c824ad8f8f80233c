package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/registry"
)

const pullMax = 30 * time.Minute

// RegistryLogin is what a registry asks for: a name and a password, or a token
// that stands for both. The zero value is nobody.
type RegistryLogin struct{ Username, Password, IdentityToken string }

// Registry returns the host of the registry that image ref is pulled from, such
// as "docker.io" or "localhost:5000".
func Registry(ref string) (string, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "", fmt.Errorf("image %q: %w", ref, err)
	}
	return reference.Domain(named), nil
}

// Repository returns ref without its tag and digest, in the form that Image.Digests
// has; "" if it is no reference.
func Repository(ref string) string {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return ""
	}
	return reference.FamiliarName(named)
}

// Pull fetches image ref by its tag (latest if it has none) or digest and calls
// progress with lines such as "downloaded 12 of 130 MB". It takes half an hour at
// most. The error says what is wrong and what to do.
func (d *Docker) Pull(ctx context.Context, ref string, login RegistryLogin, progress func(string)) error {
	host, err := Registry(ref)
	if err != nil {
		return err
	}
	auth := ""
	if login != (RegistryLogin{}) {
		auth, err = registry.EncodeAuthConfig(registry.AuthConfig{
			Username: login.Username, Password: login.Password, IdentityToken: login.IdentityToken, ServerAddress: host,
		})
		if err != nil {
			return fmt.Errorf("login for %s: %w", host, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, pullMax)
	defer cancel()
	body, err := d.api.ImagePull(ctx, ref, image.PullOptions{RegistryAuth: auth})
	if err == nil {
		defer body.Close()
		err = readPull(body, progress)
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("pull image %s: %w", ref, context.Cause(ctx))
	case connectionLost(err) && !strings.Contains(err.Error(), host):
		return d.fail("pull image "+ref, err)
	}
	return fmt.Errorf("pull image %s: %w", ref, explainPull(host, err))
}

// pullFailures are what engines and registries say, in the order in which it is
// looked for, and what it means; %s is the registry's host.
var pullFailures = [...]struct {
	says  []string
	means string
}{
	{[]string{"no such host", "server misbehaving"}, "there is no registry %s; is the image's name right?"},
	{[]string{"no matching manifest", "no match for platform"}, "the image in %s has no variant for this engine's platform"},
	{[]string{"connection refused", "i/o timeout", "timeout", "no route to host", "unreachable", "connection reset", "server gave HTTP response"}, "the registry %s cannot be reached"},
	{[]string{"no basic auth credentials", "unauthorized", "authentication required", "access denied", "access forbidden", " 401 ", " 403 "}, "the registry %[1]s wants a login that may read it, or has no such image; log in with: docker login %[1]s"},
	{[]string{"manifest unknown", "not found", "name unknown"}, "the registry %s has no such image or tag"},
}

// explainPull puts what err means before what the engine said.
func explainPull(host string, err error) error {
	text := err.Error()
	for _, f := range pullFailures {
		for _, s := range f.says {
			if strings.Contains(text, s) {
				return fmt.Errorf(f.means+" (%[2]w)", host, err)
			}
		}
	}
	return err
}

// readPull follows a pull to its end; an error in it is the pull's.
func readPull(r io.Reader, progress func(string)) error {
	type size struct{ done, total int64 }
	layers := make(map[string]size)
	shown := ""
	s := bufio.NewScanner(r)
	s.Buffer(nil, buildLogMax)
	for s.Scan() {
		var m struct {
			Status string `json:"status"`
			ID     string `json:"id"`
			Error  string `json:"error"`
			Detail struct {
				Current, Total int64
			} `json:"progressDetail"`
		}
		if json.Unmarshal(s.Bytes(), &m) != nil {
			continue
		}
		if m.Error != "" {
			return errors.New(m.Error)
		}
		if m.Status != "Downloading" || m.Detail.Total <= 0 {
			continue
		}
		layers[m.ID] = size{m.Detail.Current, m.Detail.Total}
		var sum size
		for _, l := range layers {
			sum.done += l.done
			sum.total += l.total
		}
		if line := fmt.Sprintf("downloaded %d of %d MB", sum.done/1e6, sum.total/1e6); line != shown {
			shown = line
			progress(line)
		}
	}
	return s.Err()
}

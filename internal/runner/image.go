package runner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/sprawlto/ratchetai-runner/images"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// repository prefixes the tags of the images that are built here.
const repository = "ratchetai-runner"

// Builder makes the image that sandboxes start from, on this machine and when it
// is first needed. Each image is tagged with a hash of what goes into it, so
// that it is built once and again only when something of that changed.
type Builder struct {
	Engine *sandbox.Docker
	// Program is this program for Linux, which becomes PID 1 of the sandboxes.
	Program string
	// CA is a file with certificates that downloads need beyond the base image's,
	// such as the system's bundle; empty for none.
	CA string
	// ClaudeVersion and CodexVersion replace the pinned versions; empty keeps them.
	ClaudeVersion, CodexVersion string
	// Progress gets one line at a time.
	Progress func(string)
}

// Ensure returns the tag of an image with both agents and the default tools, and
// builds what is missing of it.
func (b Builder) Ensure(ctx context.Context) (string, error) {
	return b.chain(ctx, func(build sandbox.Build) (string, error) { return b.ensure(ctx, build) })
}

// Wanted returns the tags of the images that Ensure would use, each made from the
// one before, and builds nothing.
func (b Builder) Wanted(ctx context.Context) ([]string, error) {
	var tags []string
	_, err := b.chain(ctx, func(build sandbox.Build) (string, error) {
		sum, err := hash(build)
		tags = append(tags, build.Tag+":"+sum)
		return build.Tag + ":" + sum, err
	})
	return tags, err
}

// Have returns all images that were built here, of this and of other versions.
func (b Builder) Have(ctx context.Context) ([]sandbox.ImageInfo, error) {
	return b.Engine.Images(ctx, repository+"*")
}

// chain calls step for each image in turn with what it is made of, and returns
// what step returns for the last one; the first one's tag goes into the second.
func (b Builder) chain(ctx context.Context, step func(sandbox.Build) (string, error)) (string, error) {
	info, err := b.Engine.Info(ctx)
	if err != nil {
		return "", err
	}
	program, err := programFor(b.Program, info.Arch)
	if err != nil {
		return "", err
	}
	ca, err := readCA(b.CA)
	if err != nil {
		return "", err
	}
	session, err := step(b.session(ca))
	if err != nil {
		return "", err
	}
	agents, err := step(b.agents(session, info.Arch, ca))
	if err != nil {
		return "", err
	}
	return step(sandbox.Build{
		Tag:        repository,
		Dockerfile: images.FinalDockerfile,
		Args:       map[string]string{"BASE": agents},
		Files: []sandbox.BuildFile{
			embedded(images.FinalDockerfile),
			{Name: "ratchetai-runner", Mode: 0o755, Path: program},
		},
	})
}

func (b Builder) agents(base, arch string, ca []byte) sandbox.Build {
	claude, codex := images.Claude(), images.Codex()
	args := map[string]string{
		"BASE": base, "TARGETARCH": arch,
		"CLAUDE_VERSION": claude.Version, "CLAUDE_INTEGRITY": claude.Integrity(arch),
		"CODEX_VERSION": codex.Version, "CODEX_INTEGRITY": codex.Integrity(arch),
	}
	if b.ClaudeVersion != "" && b.ClaudeVersion != claude.Version {
		args["CLAUDE_VERSION"], args["CLAUDE_INTEGRITY"] = b.ClaudeVersion, ""
	}
	if b.CodexVersion != "" && b.CodexVersion != codex.Version {
		args["CODEX_VERSION"], args["CODEX_INTEGRITY"] = b.CodexVersion, ""
	}
	return sandbox.Build{
		Tag:        repository + "-agents",
		Dockerfile: images.AgentsDockerfile,
		Args:       withProxy(args),
		Files:      []sandbox.BuildFile{embedded(images.AgentsDockerfile), embedded(images.FetchScript), {Name: "ca.crt", Mode: 0o644, Content: ca}},
	}
}

func (b Builder) session(ca []byte) sandbox.Build {
	return sandbox.Build{
		Tag:        repository + "-session",
		Dockerfile: images.SessionDockerfile,
		Args:       withProxy(map[string]string{"BASE": images.Base}),
		Files:      []sandbox.BuildFile{embedded(images.SessionDockerfile), {Name: "ca.crt", Mode: 0o644, Content: ca}},
	}
}

// ensure completes build's tag with its hash and builds it unless it is there.
func (b Builder) ensure(ctx context.Context, build sandbox.Build) (string, error) {
	sum, err := hash(build)
	if err != nil {
		return "", err
	}
	build.Tag += ":" + sum
	if _, err := b.Engine.ImageID(ctx, build.Tag); !errors.Is(err, sandbox.ErrNoImage) {
		return build.Tag, err
	}
	b.Progress("building " + build.Tag)
	if err := b.Engine.Build(ctx, build, b.Progress); err != nil {
		return "", err
	}
	return build.Tag, nil
}

// hash covers everything that decides what is in the image.
func hash(b sandbox.Build) (string, error) {
	h := sha256.New()
	for _, k := range sortedKeys(b.Args) {
		if !strings.HasSuffix(strings.ToLower(k), "_proxy") {
			fmt.Fprintf(h, "%s=%q\n", k, b.Args[k])
		}
	}
	for _, f := range b.Files {
		fmt.Fprintf(h, "%s %o\n", f.Name, f.Mode)
		h.Write(f.Content)
		if f.Path == "" {
			continue
		}
		file, err := os.Open(f.Path)
		if err != nil {
			return "", fmt.Errorf("build image: %w", err)
		}
		_, err = io.Copy(h, file)
		file.Close()
		if err != nil {
			return "", fmt.Errorf("build image: %w", err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

func embedded(name string) sandbox.BuildFile {
	data, err := fs.ReadFile(images.Files(), name)
	if err != nil {
		panic(err) // it is part of this program
	}
	return sandbox.BuildFile{Name: name, Mode: 0o644, Content: data}
}

// withProxy passes the machine's proxy on to the build, as `docker build` does.
func withProxy(args map[string]string) map[string]string {
	for _, k := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"} {
		if v := os.Getenv(k); v != "" {
			args[k] = v
		}
	}
	return args
}

// programFor returns the file that can be PID 1 on an engine of arch: this
// program if it runs on the same platform, else its sibling for Linux.
func programFor(program, arch string) (string, error) {
	if runtime.GOOS == "linux" && runtime.GOARCH == arch {
		return program, nil
	}
	sibling := filepath.Join(filepath.Dir(program), "ratchetai-runner-linux-"+arch)
	if _, err := os.Stat(sibling); err != nil {
		return "", fmt.Errorf("the engine runs linux/%s and needs this program built for it: put it at %s "+
			"(GOOS=linux GOARCH=%s CGO_ENABLED=0 go build -o %s ./cmd/ratchetai-runner)", arch, sibling, arch, sibling)
	}
	return sibling, nil
}

func readCA(name string) ([]byte, error) {
	if name == "" {
		return nil, nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read CA certificates: %w", err)
	}
	return data, nil
}

// SystemCA returns the file of the system's CA certificates, or "".
func SystemCA(getenv func(string) string) string {
	for _, name := range []string{getenv("SSL_CERT_FILE"), "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"} {
		if info, err := os.Stat(name); name != "" && err == nil && info.Mode().IsRegular() {
			return name
		}
	}
	return ""
}

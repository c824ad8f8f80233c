package runner

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/sprawlto/ratchetai-runner/images"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// repository prefixes the tags of the images that are built here.
const repository = "ratchetai-runner"

// Builder makes the image that sandboxes start from, on this machine and when it
// is first needed. Each image is tagged with a hash of what goes into it, so
// that it is built once and again only when something of that changed.
type Builder struct {
	Engine *sandbox.Docker
	// Program is this program's file.
	Program string
	// CA is a file with certificates that downloads need beyond the base image's,
	// such as the system's bundle; empty for none.
	CA string
	// ClaudeVersion and CodexVersion replace the pinned versions; empty keeps them.
	ClaudeVersion, CodexVersion string
	// Login returns the user's login for a registry; only EnsureFrom calls it.
	Login func(ctx context.Context, host string) (sandbox.RegistryLogin, error)
	// Progress gets one line at a time.
	Progress func(string)
}

// Ensure returns the tag of an image with both agents and the default tools, and
// builds what is missing of it.
func (b Builder) Ensure(ctx context.Context) (string, error) {
	m, err := b.materials(ctx)
	if err != nil {
		return "", err
	}
	agents, err := b.ensureAgents(ctx, m, glibc)
	if err != nil {
		return "", err
	}
	return b.ensure(ctx, m.final(agents))
}

// Wanted returns the tags of the images that Ensure would use, each made from the
// one before, and builds nothing.
func (b Builder) Wanted(ctx context.Context) ([]string, error) {
	m, err := b.materials(ctx)
	if err != nil {
		return nil, err
	}
	tools, err := tagged(m.tools())
	if err != nil {
		return nil, err
	}
	agents, err := tagged(b.agents(tools.Tag, m, glibc))
	if err != nil {
		return nil, err
	}
	final, err := tagged(m.final(agents.Tag))
	return []string{tools.Tag, agents.Tag, final.Tag}, err
}

// Have returns all images that were built here, of this and of other versions.
func (b Builder) Have(ctx context.Context) ([]sandbox.ImageInfo, error) {
	return b.Engine.Images(ctx, repository+"*")
}

// materials is what images are made of on this machine, Dockerfiles apart.
type materials struct {
	arch string            // of the engine, as Go names it
	init sandbox.BuildFile // PID 1 for the engine's platform
	ca   []byte
}

func (b Builder) materials(ctx context.Context) (m materials, err error) {
	info, err := b.Engine.Info(ctx)
	if err != nil {
		return m, err
	}
	m.arch = info.Arch
	if m.init, err = initFor(b.Program, m.arch); err != nil {
		return m, err
	}
	m.ca, err = readCA(b.CA)
	return m, err
}

// ensureAgents returns the tag of the image with the agents for libc.
func (b Builder) ensureAgents(ctx context.Context, m materials, l libc) (string, error) {
	tools, err := b.ensure(ctx, m.tools())
	if err != nil {
		return "", err
	}
	return b.ensure(ctx, b.agents(tools, m, l))
}

// Labels of the images that are built here, for people and for Stale.
const (
	labelKind   = "ratchetai.kind" // see BuiltImage
	labelBase   = "ratchetai.base" // the image's name that somebody asked for
	labelBaseID = "ratchetai.base.id"
	labelDigest = "ratchetai.base.digest"
	labelFrom   = "ratchetai.from" // tag of the image of ours that it was made from
	labelClaude = "ratchetai.claude"
	labelCodex  = "ratchetai.codex"
	labelAgent  = "ratchetai.agent" // the only one in it
	labelLibc   = "ratchetai.libc"
	labelTmp    = "ratchetai.tmp" // its /tmp had to be opened
)

func (m materials) tools() sandbox.Build {
	return sandbox.Build{
		Tag:        repository + "-session",
		Dockerfile: images.SessionDockerfile,
		Args:       withProxy(map[string]string{"BASE": images.Base}),
		Files:      []sandbox.BuildFile{embedded(images.SessionDockerfile), {Name: "ca.crt", Mode: 0o644, Content: m.ca}},
		Labels:     map[string]string{labelKind: "tools", labelBase: images.Base},
	}
}

// agents is the image with both agents, or with Claude alone where that is for musl.
func (b Builder) agents(tools string, m materials, l libc) sandbox.Build {
	claude, codex := images.Claude(), images.Codex()
	if l == musl {
		claude = images.ClaudeMusl()
	}
	args := map[string]string{
		"BASE": tools, "TARGETARCH": m.arch, "LIBC": "",
		"CLAUDE_VERSION": b.version(agent.Claude), "CLAUDE_INTEGRITY": claude.Integrity(m.arch),
		"CODEX_VERSION": b.version(agent.Codex), "CODEX_INTEGRITY": codex.Integrity(m.arch),
	}
	if args["CLAUDE_VERSION"] != claude.Version {
		args["CLAUDE_INTEGRITY"] = ""
	}
	if args["CODEX_VERSION"] != codex.Version {
		args["CODEX_INTEGRITY"] = ""
	}
	if l == musl {
		args["LIBC"], args["CODEX_VERSION"], args["CODEX_INTEGRITY"] = "-musl", "", ""
	}
	return sandbox.Build{
		Tag:        repository + "-agents",
		Dockerfile: images.AgentsDockerfile,
		Args:       withProxy(args),
		Files:      []sandbox.BuildFile{embedded(images.AgentsDockerfile), embedded(images.FetchScript), {Name: "ca.crt", Mode: 0o644, Content: m.ca}},
		Labels: map[string]string{
			labelKind: "agents", labelFrom: tools, labelLibc: string(l),
			labelClaude: args["CLAUDE_VERSION"], labelCodex: args["CODEX_VERSION"],
		},
	}
}

// version is that of the agent kind which goes into images.
func (b Builder) version(kind agent.Kind) string {
	if kind == agent.Claude {
		return cmp.Or(b.ClaudeVersion, images.Claude().Version)
	}
	return cmp.Or(b.CodexVersion, images.Codex().Version)
}

// final is from, an image with an agent, and PID 1.
func (m materials) final(from string) sandbox.Build {
	return sandbox.Build{
		Tag:        repository,
		Dockerfile: images.FinalDockerfile,
		Args:       map[string]string{"BASE": from},
		Files:      []sandbox.BuildFile{embedded(images.FinalDockerfile), m.init},
		Labels:     map[string]string{labelKind: "sandbox", labelFrom: from},
	}
}

// ensure builds what is described, unless it is there, and returns its tag.
func (b Builder) ensure(ctx context.Context, build sandbox.Build) (string, error) {
	build, err := tagged(build)
	if err != nil {
		return "", err
	}
	if _, err := b.Engine.Image(ctx, build.Tag); !errors.Is(err, sandbox.ErrNoImage) {
		return build.Tag, err
	}
	b.Progress("building " + build.Tag)
	if err := b.Engine.Build(ctx, build, b.Progress); err != nil {
		return "", err
	}
	return build.Tag, nil
}

// tagged completes build's tag with its hash.
func tagged(build sandbox.Build) (sandbox.Build, error) {
	sum, err := hash(build)
	build.Tag += ":" + sum
	return build, err
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
		if f.Load != nil { // sandbox-init
			h.Write(images.InitID())
		}
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

// initFor returns PID 1 for an engine of arch: what program, which is this one, carries;
// if it was built without that, itself (see main), or a file beside it.
func initFor(program, arch string) (sandbox.BuildFile, error) {
	init := sandbox.BuildFile{Name: path.Base(sandbox.InitPath), Mode: 0o755}
	if runtime.GOARCH == arch {
		if len(images.InitID()) > 0 {
			init.Load = images.Init
			return init, nil
		}
		if runtime.GOOS == "linux" {
			init.Path = program
			return init, nil
		}
	}
	init.Path = filepath.Join(filepath.Dir(program), init.Name+"-linux-"+arch)
	if _, err := os.Stat(init.Path); err != nil {
		return init, fmt.Errorf("the engine runs linux/%s and needs its sandbox-init: put it at %s "+
			"(GOOS=linux GOARCH=%s CGO_ENABLED=0 go build -o %s ./cmd/sandbox-init)", arch, init.Path, arch, init.Path)
	}
	return init, nil
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

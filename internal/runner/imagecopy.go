package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/sprawlto/ratchetai-runner/images"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// Image is what a session's image was made of; the zero value is the default one.
type Image struct {
	// Ref is the image that somebody asked for.
	Ref string `json:"ref"`
	// Digest is what Ref was: NAME@sha256:… as its registry has it, or the image's
	// own id where it was never in one.
	Digest string `json:"digest"`
	// Tag is the image with an agent in it that was made of it.
	Tag string `json:"-"`
	// Path is its PATH.
	Path string `json:"-"`
}

// Pull says when an image is fetched from its registry.
type Pull string

// The values of Pull.
const (
	PullMissing Pull = "missing"
	PullAlways  Pull = "always"
	PullNever   Pull = "never"
)

// libc is the C library of an image.
type libc string

const (
	glibc  libc = "glibc"
	musl   libc = "musl"
	noLibc libc = "none"
)

// loaders are the files by which an image's C library shows, by the engine's
// architecture.
var loaders = map[string]struct{ glibc, musl string }{
	"amd64": {"/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1"},
	"arm64": {"/lib/ld-linux-aarch64.so.1", "/lib/ld-musl-aarch64.so.1"},
}

const alpineFile = "/etc/alpine-release"

// bashes are where bash may be. Claude runs no command by another POSIX shell.
var bashes = [...]string{"/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash"}

// EnsureFrom returns an image that is ref with a copy of the agent kind in it. ref
// is pulled as pull says; what is made of it is kept until ref or the agent
// changes.
func (b Builder) EnsureFrom(ctx context.Context, ref string, pull Pull, kind agent.Kind) (Image, error) {
	base, err := b.base(ctx, ref, pull)
	if err != nil {
		return Image{}, err
	}
	m, err := b.materials(ctx)
	if err != nil {
		return Image{}, err
	}
	if base.OS != "linux" || base.Arch != m.arch {
		return Image{}, fmt.Errorf("image %s is for %s/%s, and the engine runs linux/%s; name a variant for that, or another engine by DOCKER_HOST",
			ref, base.OS, base.Arch, m.arch)
	}
	has, err := b.look(ctx, base.ID, m.arch)
	if err = errors.Join(err, has.check(ref, kind)); err != nil {
		return Image{}, err
	}
	agents, err := b.ensureAgents(ctx, m, agentsFor(kind, has.libc))
	if err != nil {
		return Image{}, err
	}
	img := Image{Ref: ref, Digest: digest(ref, base)}
	from, err := b.ensure(ctx, b.copy(base.ID, img, agents, kind, has))
	if err != nil {
		return Image{}, explainCopy(ref, kind, err)
	}
	if img.Tag, err = b.ensure(ctx, m.final(from)); err != nil {
		return Image{}, err
	}
	made, err := b.Engine.Image(ctx, img.Tag)
	img.Path = made.Path
	return img, err
}

// base returns the image ref, which is pulled if that is due.
func (b Builder) base(ctx context.Context, ref string, pull Pull) (sandbox.Image, error) {
	if pull != PullAlways {
		base, err := b.Engine.Image(ctx, ref)
		if !errors.Is(err, sandbox.ErrNoImage) {
			return base, err
		}
		if pull == PullNever {
			return base, fmt.Errorf("%w on the engine, and --pull never was given", err)
		}
	}
	host, err := sandbox.Registry(ref)
	if err != nil {
		return sandbox.Image{}, err
	}
	b.Progress("pulling " + ref)
	login, lerr := b.Login(ctx, host)
	if err := b.Engine.Pull(ctx, ref, login, b.Progress); err != nil {
		return sandbox.Image{}, errors.Join(err, lerr)
	}
	return b.Engine.Image(ctx, ref)
}

// contents is what matters of an image's files.
type contents struct {
	libc        libc
	shell, bash bool
	closedTmp   bool // /tmp is there, and not for everybody
}

// look finds out what is in the image id. Nothing of it runs.
func (b Builder) look(ctx context.Context, id, arch string) (contents, error) {
	loader := loaders[arch]
	found, err := b.Engine.Look(ctx, id, append(bashes[:], "/bin/sh", "/tmp", loader.glibc, loader.musl, alpineFile)...)
	if err != nil {
		return contents{}, err
	}
	has := func(path string) bool { _, ok := found[path]; return ok }
	c := contents{libc: noLibc, shell: has("/bin/sh"), bash: slices.ContainsFunc(bashes[:], has)}
	switch {
	case has(loader.musl) && (has(alpineFile) || !has(loader.glibc)): // Alpine may have a glibc lookalike
		c.libc = musl
	case has(loader.glibc):
		c.libc = glibc
	}
	open := fs.ModeDir | fs.ModeSticky | fs.ModePerm
	c.closedTmp = has("/tmp") && found["/tmp"]&open != open
	return c, nil
}

// check says what an image lacks that the agent kind needs.
func (c contents) check(ref string, kind agent.Kind) error {
	switch {
	case !c.shell:
		return fmt.Errorf("image %s has no shell (/bin/sh), by which agents run commands; choose an image with one", ref)
	case kind == agent.Claude && c.libc == noLibc:
		return fmt.Errorf("image %s has neither glibc nor musl, and Claude Code needs one; choose another image, or --model codex", ref)
	case kind == agent.Claude && !c.bash:
		return fmt.Errorf("image %s has no bash, by which Claude Code runs commands; choose an image with it, or --model codex", ref)
	}
	return nil
}

// agentsFor is the variant of the agents image that holds kind: Codex is static.
func agentsFor(kind agent.Kind, l libc) libc {
	if kind == agent.Claude && l == musl {
		return musl
	}
	return glibc
}

// copy is the image id with a copy of one agent from the image agents.
func (b Builder) copy(id string, img Image, agents string, kind agent.Kind, has contents) sandbox.Build {
	dockerfile := embedded(images.CopyDockerfile)
	if has.closedTmp {
		dockerfile.Content = append(dockerfile.Content, images.OpenTmp...)
	}
	label := labelCodex
	if kind == agent.Claude {
		dockerfile.Content = append(dockerfile.Content, images.TryClaude...)
		label = labelClaude
	}
	return sandbox.Build{
		Tag:        repository + "-copy",
		Dockerfile: images.CopyDockerfile,
		Args:       map[string]string{"BASE": id, "AGENTS": agents, "AGENT": string(kind)},
		Files:      []sandbox.BuildFile{dockerfile},
		Labels: map[string]string{
			labelKind: "copy", labelBase: img.Ref, labelBaseID: id, labelDigest: img.Digest, labelFrom: agents,
			labelAgent: string(kind), labelLibc: string(has.libc), labelTmp: fmt.Sprint(has.closedTmp), label: b.version(kind),
		},
	}
}

// digest names the content of ref for good.
func digest(ref string, base sandbox.Image) string {
	for _, d := range base.Digests { // the one of ref's own registry, if there are several
		if sandbox.Repository(d) == sandbox.Repository(ref) {
			return d
		}
	}
	if len(base.Digests) > 0 {
		return base.Digests[0]
	}
	return base.ID
}

// explainCopy makes the failure of a copy one of the image, if it is.
func explainCopy(ref string, kind agent.Kind, err error) error {
	if kind == agent.Claude && strings.Contains(err.Error(), "returned a non-zero code") {
		return fmt.Errorf("image %s cannot run Claude Code, which needs glibc 2.17 or musl 1.2; "+
			"choose a newer image, or --model codex (%w)", ref, err)
	}
	return err
}

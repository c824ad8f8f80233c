//go:build e2e

package e2e

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
)

// foreignImage builds an image as a user would have one; what is made of it goes
// with the test.
func foreignImage(t *testing.T, name, dockerfile string) string {
	t.Helper()
	tag := "ratchetai-e2e/" + name + ":1"
	build := exec.Command("docker", "build", "-q", "-t", tag, "-")
	build.Env = append(build.Environ(), "DOCKER_BUILDKIT=0")
	build.Stdin = strings.NewReader(dockerfile)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() { dropImages(t, tag) })
	return tag
}

// dropImages removes base and what the runner made of it, the newest first.
func dropImages(t *testing.T, base string) {
	t.Helper()
	out, err := exec.Command("docker", "images", "--filter", "label=ratchetai.base="+base, "--format", "{{.Repository}}:{{.Tag}}").Output()
	if err != nil {
		t.Error(err)
	}
	for _, tag := range append(strings.Fields(string(out)), base) {
		if out, err := exec.Command("docker", "rmi", tag).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
}

// Tools that only the image has, in a PATH that only it sets, are the agent's too.
func TestForeignImage(t *testing.T) {
	t.Parallel()
	tag := foreignImage(t, "tools", `FROM debian:bookworm-slim
RUN mkdir /tools && printf '#!/bin/sh\necho made by a tool of the image\n' >/tools/mytool && chmod 755 /tools/mytool
ENV PATH=/tools:$PATH
USER nobody
ENTRYPOINT ["/nonexistent"]
`)
	for _, kind := range []agent.Kind{agent.Claude, agent.Codex} {
		t.Run(string(kind), func(t *testing.T) {
			b := setup(t, kind, modelapi.Shell("mytool > made.txt"), modelapi.Text("done"))
			b.run(b.runArgs("--image", tag)...).want(t, 0)
			if got := b.read("made.txt"); got != "made by a tool of the image\n" {
				t.Errorf("the image's tool wrote %q", got)
			}
			id, err := exec.Command("docker", "image", "inspect", "--format", "{{.Id}}", tag).Output()
			if err != nil {
				t.Fatal(err)
			}
			rec, err := b.store.Load(b.sessions()[0])
			if err != nil || rec.From.Ref != tag || rec.From.Digest != strings.TrimSpace(string(id)) {
				t.Errorf("the session's record says %+v, %v; want the image's id %s", rec.From, err, id)
			}
			b.wantImage(rec.Image, tag)
		})
	}
}

// wantImage checks what `images` says of the image that a session started from base
// with: that it is current, and so not to be pruned.
func (b *bundle) wantImage(tag, base string) {
	b.t.Helper()
	type image struct {
		Tag, Base string
		Current   bool
		Used      time.Time
	}
	list := func(args ...string) map[string]image {
		r := b.run(append([]string{"images"}, args...)...)
		r.want(b.t, 0)
		all := map[string]image{}
		for text := range strings.SplitSeq(strings.TrimSpace(r.stdout), "\n") {
			var i image
			if err := json.Unmarshal([]byte(text), &i); text != "" && err != nil {
				b.t.Fatalf("%v: %s", err, text)
			}
			all[i.Tag] = i
		}
		return all
	}
	if i := list("ls", "--json")[tag]; i.Base != base || !i.Current || i.Used.IsZero() {
		b.t.Errorf("images ls: %+v", i)
	}
	if i, ok := list("prune", "--dry-run", "--json")[tag]; ok {
		b.t.Errorf("images prune would remove %+v", i)
	}
	if _, ok := list("prune", "--all", "--dry-run", "--json")[tag]; !ok {
		b.t.Error("images prune --all would not remove what no session uses")
	}
}

// Alpine's images have musl and busybox; this one is made of Debian's packages of
// them, with bash and with a /tmp that is root's alone.
func TestMuslImage(t *testing.T) {
	t.Parallel()
	if runtime.GOARCH != "amd64" {
		t.Skip("the image's files are named for amd64")
	}
	tag := foreignImage(t, "musl", `FROM debian:bookworm-slim AS packages
RUN apt-get update -qq && cd /tmp && apt-get download musl busybox-static bash-static && \
    for p in *.deb; do dpkg-deb -x $p /p; done && mkdir -p /r/bin /r/lib /r/etc /r/tmp && \
    cp /p/bin/busybox /r/bin/ && cp /p/bin/bash-static /r/bin/bash && echo 3.20.0 >/r/etc/alpine-release && \
    for t in sh cat echo ls mkdir chmod env head sed; do ln -s busybox /r/bin/$t; done && \
    cp /p/lib/x86_64-linux-musl/libc.so /r/lib/ld-musl-x86_64.so.1 && ln -s ld-musl-x86_64.so.1 /r/lib/libc.musl-x86_64.so.1
FROM scratch
COPY --from=packages /r /
`)
	b := setup(t, agent.Claude, modelapi.Shell("cat /etc/alpine-release > release.txt"), modelapi.Text("done"))
	b.run(b.runArgs("--image", tag)...).want(t, 0)
	if got := b.read("release.txt"); got != "3.20.0\n" {
		t.Errorf("the session read %q", got)
	}
}

// imageFor loads an empty image for another architecture.
func imageFor(t *testing.T, arch string) string {
	t.Helper()
	tag := "ratchetai-e2e/" + arch + ":1"
	layer := make([]byte, 1024) // an empty archive
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for name, content := range map[string]string{
		"layer.tar":     string(layer),
		"config.json":   fmt.Sprintf(`{"architecture":%q,"os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:%x"]}}`, arch, sha256.Sum256(layer)),
		"manifest.json": fmt.Sprintf(`[{"Config":"config.json","RepoTags":[%q],"Layers":["layer.tar"]}]`, tag),
	} {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	load := exec.Command("docker", "load")
	load.Stdin = &archive
	if out, err := load.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() { dropImages(t, tag) })
	return tag
}

func TestUnfitImages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind       agent.Kind
		dockerfile string
		want       string
	}{
		"noshell": {agent.Codex, "FROM scratch\nLABEL a=b\n", "has no shell"},
		"nobash":  {agent.Claude, "FROM debian:bookworm-slim\nRUN rm -f /bin/bash\n", "has no bash"},
		"nolibc":  {agent.Claude, "FROM debian:bookworm-slim AS d\nFROM scratch\nCOPY --from=d /bin/dash /bin/sh\n", "neither glibc nor musl"},
		"oldlibc": {agent.Claude, "FROM debian:bookworm-slim\nRUN echo old >/lib/x86_64-linux-gnu/libm.so.6\n", "cannot run Claude Code"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "oldlibc" && runtime.GOARCH != "amd64" {
				t.Skip("the path of its libc is amd64's")
			}
			b := setup(t, c.kind)
			r := b.run(b.runArgs("--image", foreignImage(t, name, c.dockerfile))...)
			r.want(t, 3)
			if !strings.Contains(r.stderr, c.want) {
				t.Errorf("%q is not in %q", c.want, r.stderr)
			}
		})
	}
	b := setup(t, agent.Claude)
	r := b.run(b.runArgs("--image", imageFor(t, "riscv64"))...)
	if r.want(t, 3); !strings.Contains(r.stderr, "is for linux/riscv64, and the engine runs linux/"+runtime.GOARCH) {
		t.Errorf("stderr: %s", r.stderr)
	}
	r = b.run(b.runArgs("--image", "ratchetai-e2e/absent:1", "--pull", "never")...)
	if r.want(t, 3); !strings.Contains(r.stderr, "no such image") {
		t.Errorf("stderr: %s", r.stderr)
	}
}

// A repository's devcontainer.json takes effect when it is asked for: its image is
// built, and its command prepares the workspace behind the session's own egress.
func TestDevcontainer(t *testing.T) {
	t.Parallel()
	b := setup(t, agent.Codex, modelapi.Shell(`echo "$FLAVOUR $(cat /built.txt) $(cat prepared.txt) ${LD_PRELOAD:-clean}" > out.txt
		echo kept > /srv/cache/kept.txt; (touch /srv/dev/evil; touch /srv/seed) || cat /srv/dev/Dockerfile /srv/seed > read.txt`), modelapi.Text("done"))
	b.write(".devcontainer/devcontainer.json", `{
	// comments and trailing commas are allowed
	"build": {"dockerfile": "Dockerfile", "context": "..", "args": {"WORD": "argued"}, "target": "dev"},
	"containerEnv": {"FLAVOUR": "lemon", "LD_PRELOAD": "/evil.so"},
	"postCreateCommand": "ls /sys/class/net > net.txt; echo preparing; echo prepared > prepared.txt",
	"mounts": [
		"source=${localWorkspaceFolder}/cache,target=/srv/cache,type=bind,consistency=cached",
		{"type": "bind", "source": "${localWorkspaceFolder}/.devcontainer", "target": "/srv/dev"},
		"source=${localWorkspaceFolder}/seed.txt,target=/srv/seed,type=bind,readonly",
		"source=modules,target=/srv/modules,type=volume",
		"source=${localWorkspaceFolder}/out,target=/srv/out,type=bind", // a link
	],
	"privileged": true, "runArgs": ["--pid=host"], "initializeCommand": "touch /tmp/owned",
}`)
	b.write(".devcontainer/Dockerfile", "FROM debian:bookworm-slim AS dev\nARG WORD\nCOPY seed.txt /seed.txt\nRUN echo $WORD $(cat /seed.txt) > /built.txt\nFROM scratch\n")
	b.write("seed.txt", "seeded\n")
	b.write("cache/old.txt", "")
	if err := os.Symlink("/etc", filepath.Join(b.ws, "out")); err != nil {
		t.Fatal(err)
	}
	b.give(filepath.Join(b.ws, "out"))
	r := b.run(b.runArgs("--devcontainer")...)
	rec, err := b.store.Load(b.sessions()[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dropImages(t, rec.From.Ref) })
	r.want(t, 0)
	if got := b.read("out.txt"); got != "lemon argued seeded prepared clean\n" {
		t.Errorf("the session wrote %q", got)
	}
	if got := b.read("net.txt"); got != "lo\n" {
		t.Errorf("the preparation saw the networks %q", got)
	}
	if got := b.read("cache/kept.txt"); got != "kept\n" {
		t.Errorf("the mount has %q", got)
	}
	if got := b.read("read.txt"); !strings.HasPrefix(got, "FROM debian") || !strings.HasSuffix(got, "\nseeded\n") {
		t.Errorf("of the read-only mounts it read %q", got)
	}
	if _, err := os.Lstat(filepath.Join(b.ws, ".devcontainer/evil")); err == nil {
		t.Error("a protected path was written to by its mount")
	}
	for _, want := range []string{"builds on this engine, with its network: .devcontainer/Dockerfile", "before the agent: ls", "in the sandbox: cache at /srv/cache\n", "in the sandbox: .devcontainer at /srv/dev, read-only", "in the sandbox: seed.txt at /srv/seed, read-only",
		"not honoured: containerEnv.LD_PRELOAD, initializeCommand, mounts[3] (type=volume), privileged, runArgs, mounts[4] (out: out is a link, which cannot be mounted)"} {
		if !strings.Contains(r.stderr, want) {
			t.Errorf("%q is not in %q", want, r.stderr)
		}
	}
	if story := r.story(); !strings.Contains(story, "preparing") {
		t.Errorf("what the preparation printed is no event: %s", story)
	}

	b.write(".devcontainer/devcontainer.json", `{"image": "`+rec.From.Ref+`", "postCreateCommand": ["sh", "-c", "echo it broke; exit 7"]}`)
	r = b.run(b.runArgs("--devcontainer")...)
	r.want(t, 3)
	if last := r.events[len(r.events)-1]; !strings.Contains(string(last.Data), "postCreateCommand failed with exit code 7") {
		t.Errorf("the session ended with %s", last.Data)
	}
	b.write(".devcontainer/devcontainer.json", `{}`)
	if r = b.run(b.runArgs("--devcontainer")...); r.code != 3 || !strings.Contains(r.stderr, "needs either image or build") {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
}

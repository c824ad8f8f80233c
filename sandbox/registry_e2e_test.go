//go:build e2e

package sandbox_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// registry serves one tiny image, tagged 1, as a registry does. With a password it
// wants the login user and that.
type registry struct {
	host   string
	repo   string
	digest string // of the manifest
	blobs  map[string][]byte
}

func newRegistry(t *testing.T, arch, password string) *registry {
	t.Helper()
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	name := uuid.NewString() // no other test has this layer
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	w.Close()
	r := &registry{repo: "team/tiny-" + name[:8], blobs: map[string][]byte{}}
	put := func(data []byte) string {
		d := fmt.Sprintf("sha256:%x", sha256.Sum256(data))
		r.blobs[d] = data
		return d
	}
	encode := func(v any) []byte {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	type part struct {
		MediaType string `json:"mediaType"`
		Size      int    `json:"size"`
		Digest    string `json:"digest"`
	}
	diff := put(layer.Bytes())
	config := encode(map[string]any{
		"architecture": arch, "os": "linux", "config": map[string]any{"Env": []string{"PATH=/tiny"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{diff}},
	})
	r.digest = put(encode(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
		"config": part{"application/vnd.docker.container.image.v1+json", len(config), put(config)},
		"layers": []part{{"application/vnd.docker.image.rootfs.diff.tar", layer.Len(), diff}},
	}))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if user, given, _ := req.BasicAuth(); password != "" && (user != "user" || given != password) {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
			return
		}
		r.serve(w, req)
	}))
	t.Cleanup(server.Close)
	r.host = strings.TrimPrefix(server.URL, "http://")
	return r
}

func (r *registry) serve(w http.ResponseWriter, req *http.Request) {
	if req.URL.Path == "/v2/" {
		return
	}
	want, ok := strings.CutPrefix(req.URL.Path, "/v2/"+r.repo+"/manifests/")
	if ok {
		w.Header().Set("Content-Type", "application/vnd.docker.distribution.manifest.v2+json")
		if want == "1" {
			want = r.digest
		}
	} else {
		want = strings.TrimPrefix(req.URL.Path, "/v2/"+r.repo+"/blobs/")
	}
	data, ok := r.blobs[want]
	if !ok {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}`)
		return
	}
	w.Header().Set("Docker-Content-Digest", want)
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	if req.Method != http.MethodHead {
		_, _ = w.Write(data)
	}
}

func (r *registry) name() string { return r.host + "/" + r.repo }

func TestPull(t *testing.T) {
	t.Parallel()
	d := newDocker(t)
	open := newRegistry(t, runtime.GOARCH, "")
	closed := newRegistry(t, runtime.GOARCH, "secret")
	login := sandbox.RegistryLogin{Username: "user", Password: "secret"}
	for name, c := range map[string]struct {
		ref    string
		login  sandbox.RegistryLogin
		digest string
		wrong  string
	}{
		"tag":            {ref: open.name() + ":1", digest: open.digest},
		"digest":         {ref: open.name() + "@" + open.digest, digest: open.digest},
		"login":          {ref: closed.name() + ":1", login: login, digest: closed.digest},
		"no login":       {ref: closed.name() + ":1", wrong: "log in with: docker login " + closed.host},
		"wrong password": {ref: closed.name() + ":1", login: sandbox.RegistryLogin{Username: "user", Password: "x"}, wrong: "docker login " + closed.host},
		"no tag":         {ref: open.name() + ":2", wrong: "has no such image or tag"},
		"no repository":  {ref: open.host + "/nothing:1", wrong: "has no such image or tag"},
		"no digest":      {ref: open.name() + "@sha256:" + strings.Repeat("0", 64), wrong: "has no such image or tag"},
		"registry down":  {ref: freeAddress(t) + "/x:1", wrong: "cannot be reached"},
		"no host":        {ref: "registry.invalid/x:1", wrong: "there is no registry registry.invalid"},
		"no reference":   {ref: "UPPER", wrong: "must be lowercase"},
	} {
		t.Run(name, func(t *testing.T) {
			err := d.Pull(testContext(t), c.ref, c.login, func(string) {})
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) {
					t.Errorf("error %v, want %q in it", err, c.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer d.RemoveImage(testContext(t), c.ref)
			got, err := d.Image(testContext(t), c.ref)
			if err != nil || len(got.Digests) != 1 || !strings.HasSuffix(got.Digests[0], "@"+c.digest) || got.Path != "/tiny" {
				t.Errorf("pulled %+v, %v; want digest %s", got, err, c.digest)
			}
		})
	}
}

// freeAddress is one where nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestLook(t *testing.T) {
	t.Parallel()
	d := newDocker(t)
	found, err := d.Look(testContext(t), testImage, sandbox.InitPath, "/nothing/here")
	if err != nil {
		t.Fatal(err)
	}
	if mode, ok := found[sandbox.InitPath]; !ok || mode.Perm()&0o111 == 0 || len(found) != 1 {
		t.Errorf("found %v", found)
	}
}

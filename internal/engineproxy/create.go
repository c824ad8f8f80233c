package engineproxy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// container is all that a container may have; its fields are the engine's.
type container struct {
	Hostname        string            `json:",omitempty"`
	User            string            `json:",omitempty"`
	AttachStdout    bool              `json:",omitempty"`
	AttachStderr    bool              `json:",omitempty"`
	Env             []string          `json:",omitempty"`
	Cmd             []string          `json:",omitempty"`
	Healthcheck     *healthcheck      `json:",omitempty"`
	Image           string            `json:",omitempty"`
	WorkingDir      string            `json:",omitempty"`
	Entrypoint      []string          `json:",omitempty"`
	NetworkDisabled bool              `json:",omitempty"`
	Labels          map[string]string `json:",omitempty"`
	HostConfig      hostConfig
}

type healthcheck struct{ Test []string }

type hostConfig struct {
	NetworkMode    string            `json:",omitempty"`
	LogConfig      logConfig         `json:",omitzero"`
	CapDrop        []string          `json:",omitempty"`
	ReadonlyRootfs bool              `json:",omitempty"`
	SecurityOpt    []string          `json:",omitempty"`
	Tmpfs          map[string]string `json:",omitempty"`
	ShmSize        int64             `json:",omitempty"`
	Runtime        string            `json:",omitempty"`
	Memory         int64             `json:",omitempty"`
	MemorySwap     int64             `json:",omitempty"`
	NanoCpus       int64             `json:",omitempty"`
	PidsLimit      int64             `json:",omitempty"`
	Ulimits        []ulimit          `json:",omitempty"`
	Mounts         []mount           `json:",omitempty"`
}

type logConfig struct{ Type string }

type ulimit struct {
	Name       string
	Hard, Soft int64
}

type mount struct {
	Type, Source, Target string
	ReadOnly             bool `json:",omitempty"`
}

// create checks a container before it is made.
func (p *Proxy) create(r *http.Request) (call, error) {
	query := only(r, "name")
	if name := query.Get("name"); name != "" && (!containerName().MatchString(name) || !strings.HasPrefix(name, imagePrefix)) {
		return call{}, refusal{"a container has a name that begins with " + imagePrefix}
	}
	for name := range r.URL.Query() {
		if name != "name" {
			return call{}, refusal{"a container with " + name}
		}
	}
	var c container
	if err := readBody(r, &c); err != nil {
		return call{}, err
	}
	err := c.check(p.gid, p.options.Users)
	if err == nil {
		err = p.checkMounts(r, c.HostConfig.Mounts)
	}
	if err != nil {
		return call{}, err
	}
	c.Labels[labelProxy] = proxySession
	if _, ok := c.Labels[labelLook]; ok {
		c.Labels[labelProxy] = proxyLook
	}
	body, err := json.Marshal(c)
	return call{path: "/containers/create", query: query, body: body}, err
}

// check returns why c is no sandbox; gid is the group of the engine's socket, users are
// who it may be.
func (c *container) check(gid int64, users []string) error {
	for key := range c.Labels {
		if key != labelSession && key != labelRunner && key != labelLook {
			return refusal{"label " + key}
		}
	}
	session, look := c.Labels[labelSession] != "", false
	if _, ok := c.Labels[labelLook]; ok {
		look = true
	}
	h := c.HostConfig
	switch {
	case session == look:
		return refusal{"a container is a session's or one to look into, by its label"}
	case h.NetworkMode != "none" || !c.NetworkDisabled:
		return refusal{"a container has no network"}
	case look && len(h.Mounts)+len(h.Tmpfs) > 0:
		return refusal{"a container to look into has no mounts"}
	case look:
		return nil // it is never started
	}
	return cmp.Or(checkUser(c.User, gid, users), c.checkLimits(), c.checkWalls())
}

// checkUser refuses root, the groups that amount to it, and who is not among users.
func checkUser(user string, gid int64, users []string) error {
	u, g, _ := strings.Cut(user, ":")
	uid, err := strconv.ParseInt(u, 10, 32)
	group, err2 := strconv.ParseInt(g, 10, 32)
	switch {
	case err != nil || err2 != nil || user != fmt.Sprintf("%d:%d", uid, group):
		return refusal{"user " + strconv.Quote(user) + " is not UID:GID"}
	case uid <= 0 || group <= 0:
		return refusal{"a sandbox is not root's"}
	case group == gid:
		return refusal{"a sandbox has not the group of the engine's socket"}
	case len(users) > 0 && !slices.Contains(users, user):
		return refusal{"a sandbox of user " + user + ", who is not allowed"}
	}
	return nil
}

func (c *container) checkLimits() error {
	h := c.HostConfig
	if h.Memory <= 0 || h.MemorySwap != h.Memory || h.NanoCpus <= 0 || h.PidsLimit <= 0 || h.ShmSize <= 0 {
		return refusal{"a sandbox has limits on memory, processors and processes"}
	}
	for _, l := range h.Ulimits {
		if l.Name != "core" && l.Name != "nofile" {
			return refusal{"limit " + l.Name}
		}
	}
	for target := range h.Tmpfs {
		if target != "/tmp" {
			return refusal{"a tmpfs at " + target}
		}
	}
	return nil
}

// runtimeName is that of a runtime which the engine's owner has configured; a path or
// a shim's name has other characters.
var runtimeName = regexp.MustCompile(`^[a-z0-9_-]*$`)

func (c *container) checkWalls() error {
	h := c.HostConfig
	switch {
	case !h.ReadonlyRootfs:
		return refusal{"a sandbox has a read-only root"}
	case !slices.Equal(h.CapDrop, []string{"ALL"}):
		return refusal{"a sandbox has no capabilities"}
	case !slices.Equal(h.SecurityOpt, []string{"no-new-privileges"}):
		return refusal{"a sandbox has no-new-privileges and the engine's own profiles"}
	case h.LogConfig.Type != "none":
		return refusal{"a sandbox has no log"}
	case !runtimeName.MatchString(h.Runtime):
		return refusal{"runtime " + strconv.Quote(h.Runtime)}
	case c.Healthcheck == nil || !slices.Equal(c.Healthcheck.Test, []string{"NONE"}):
		return refusal{"a sandbox has no health check"}
	}
	return nil
}

// checkMounts allows mounts of what is in the allowed directories.
func (p *Proxy) checkMounts(r *http.Request, mounts []mount) error {
	if len(mounts) == 0 {
		return nil
	}
	allowed, err := p.directories(r)
	if err != nil {
		return err
	}
	for _, m := range mounts {
		if m.Type != "bind" || !path.IsAbs(m.Source) || path.Clean(m.Source) != m.Source || !path.IsAbs(m.Target) {
			return refusal{"a mount that is no directory of the machine"}
		}
		if strings.HasSuffix(m.Source, ".sock") {
			return refusal{"a mount of a socket"}
		}
		if !slices.ContainsFunc(allowed, func(d directory) bool { return d.has(m) }) {
			return refusal{"a mount of " + m.Source + ", which is in none of the allowed directories"}
		}
	}
	return nil
}

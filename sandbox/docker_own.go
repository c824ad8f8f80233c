package sandbox

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
)

// ownMounts asks the engine for the mounts of the container that this program runs
// in, once. There are none outside of a container, or in another engine's.
func (d *Docker) ownMounts(ctx context.Context) (ownMounts, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ownKnown {
		return d.own, nil
	}
	var own ownMounts
	mountinfo, _ := os.ReadFile("/proc/self/mountinfo") // other systems have none, and no containers
	if id := containerID(string(mountinfo)); id != "" {
		c, err := d.api.ContainerInspect(ctx, id)
		if err != nil && !errdefs.IsNotFound(err) {
			return nil, d.fail("look at the container that this program runs in", err)
		}
		if err == nil {
			own = mountsOf(c)
		}
	}
	d.own, d.ownKnown = own, true
	return own, nil
}

// containerID finds the container that has mountinfo, "" if it is none. The engine
// mounts three files of /etc from its directory of the container; a host name or
// control groups name the container only sometimes.
func containerID(mountinfo string) string {
	// The engine's directory of a container in the source of a mount. It is made here
	// because PID 1 of every sandbox would make it, too.
	ownContainer := regexp.MustCompile(`/[a-z-]*containers/([0-9a-f]{64})/`)
	for line := range strings.Lines(mountinfo) {
		// ID PARENT MAJOR:MINOR ROOT MOUNTPOINT …
		f := strings.Fields(line)
		if len(f) < 5 || f[4] != "/etc/hosts" && f[4] != "/etc/hostname" && f[4] != "/etc/resolv.conf" {
			continue
		}
		if m := ownContainer.FindStringSubmatch(f[3]); m != nil {
			return m[1]
		}
	}
	return ""
}

// mountsOf returns the mounts of c. It is never empty: what is in no mount is in
// the container's own layer.
func mountsOf(c container.InspectResponse) ownMounts {
	own := ownMounts{{at: "/"}}
	for _, m := range c.Mounts {
		o := ownMount{at: filepath.Clean(m.Destination), readOnly: !m.RW}
		if m.Type == mount.TypeBind || m.Type == mount.TypeVolume {
			o.source = m.Source
		}
		own = append(own, o)
	}
	if c.ContainerJSONBase == nil || c.HostConfig == nil {
		return own
	}
	for at := range c.HostConfig.Tmpfs {
		own = append(own, ownMount{at: filepath.Clean(at)})
	}
	for _, m := range c.HostConfig.Mounts {
		if m.VolumeOptions == nil || m.VolumeOptions.Subpath == "" {
			continue
		}
		for i := range own {
			if own[i].at == filepath.Clean(m.Target) && own[i].source != "" {
				own[i].source += "/" + m.VolumeOptions.Subpath
			}
		}
	}
	return own
}

// OnHost returns an error, ErrNotOnHost unless the engine does not answer, if sandboxes
// cannot be given what is at path because this program runs in a container without it.
func (d *Docker) OnHost(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	own, err := d.ownMounts(ctx)
	if err == nil {
		_, _, err = own.host(path)
	}
	return err
}

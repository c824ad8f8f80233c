package sandbox

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/go-units"

	"github.com/sprawlto/ratchetai-runner/sandbox/pid1"
)

const (
	// InitPath is the program that must be in every image, PID 1: cmd/sandbox-init,
	// built statically for the engine's platform.
	InitPath = "/opt/ratchetai/sandbox-init"

	hostname = "sandbox"
	// hosts is /etc/hosts where there is no network: no resolver answers, and
	// localhost is a name like any other.
	hosts = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\t" + hostname + "\n"

	labelSession = "ratchetai.session"
	labelRunner  = "ratchetai.runner"
	namePrefix   = "ratchetai-"
)

// request is what the engine is asked to create.
type request struct {
	Name   string
	Config *container.Config
	Host   *container.HostConfig
}

// plan turns a valid spec into a request, for an engine with cpus processors.
// It is pure, so that the golden files show every flag that a change touches.
func plan(s Spec, cpus int) request {
	l := s.Limits.withDefaults()
	orphan := s.OrphanAfter
	if orphan == 0 {
		orphan = 10 * time.Minute
	}
	init := pid1.Config{StdoutMax: l.StdoutBytes, OrphanAfter: orphan, Command: s.Command}
	return request{
		Name: namePrefix + s.ID,
		Config: &container.Config{
			Hostname:        hostname,
			Image:           s.Image,
			Entrypoint:      append([]string{InitPath}, init.Args()...),
			Cmd:             []string{},
			Env:             s.Env,
			WorkingDir:      s.Dir,
			User:            s.User,
			Labels:          map[string]string{labelSession: s.ID, labelRunner: s.Runner},
			Healthcheck:     &container.HealthConfig{Test: []string{"NONE"}}, // not the image's
			AttachStdout:    true,
			AttachStderr:    true,
			NetworkDisabled: s.Network != NetworkOpen,
		},
		Host: &container.HostConfig{
			Mounts:         mounts(s),
			NetworkMode:    networkMode(s.Network),
			LogConfig:      container.LogConfig{Type: "none"},
			ReadonlyRootfs: true,
			CapDrop:        []string{"ALL"},
			SecurityOpt:    []string{"no-new-privileges"},
			Privileged:     false,
			Runtime:        s.Runtime,
			ShmSize:        l.ShmBytes,
			Tmpfs: map[string]string{
				"/tmp": fmt.Sprintf("rw,exec,nosuid,nodev,mode=1777,size=%d", l.TmpBytes),
			},
			Resources: container.Resources{
				Memory:     l.MemoryBytes,
				MemorySwap: l.MemoryBytes,
				NanoCPUs:   int64(min(l.CPUs, float64(cpus)) * 1e9),
				PidsLimit:  &l.Processes,
				Ulimits: []*units.Ulimit{
					{Name: "core", Soft: 0, Hard: 0},
					{Name: "nofile", Soft: l.OpenFiles, Hard: l.OpenFiles},
				},
			},
		},
	}
}

func networkMode(n Network) container.NetworkMode {
	if n == NetworkOpen {
		return "bridge"
	}
	return "none"
}

// mounts are of type bind only: unlike the older "volumes" form it refuses a
// source that does not exist instead of creating it as root.
func mounts(s Spec) []mount.Mount {
	bind := func(source, target string, readOnly bool) mount.Mount {
		return mount.Mount{Type: mount.TypeBind, Source: source, Target: target, ReadOnly: readOnly}
	}
	all := []mount.Mount{
		bind(filepath.Join(s.State, "io"), pid1.StateDir, false),
		bind(filepath.Join(s.State, "passwd"), "/etc/passwd", true),
		bind(filepath.Join(s.State, "group"), "/etc/group", true),
	}
	if s.Network != NetworkOpen { // an engine that sets up no network leaves it empty
		all = append(all, bind(filepath.Join(s.State, "hosts"), "/etc/hosts", true))
	}
	for _, m := range s.Mounts {
		all = append(all, bind(m.Source, m.Target, m.ReadOnly))
	}
	return all
}

// accounts returns /etc/passwd and /etc/group for user, "UID:GID": ssh, git and
// others refuse to work for a user without a name.
func accounts(user, home string) (passwd, group string) {
	uid, gid, _ := strings.Cut(user, ":")
	passwd, group = "root:x:0:0:root:/root:/bin/sh\n", "root:x:0:\n"
	if uid == "0" {
		passwd = "root:x:0:" + gid + ":root:" + home + ":/bin/bash\n"
	} else {
		passwd += "agent:x:" + uid + ":" + gid + ":agent:" + home + ":/bin/bash\n"
	}
	if gid != "0" {
		group += "agent:x:" + gid + ":\n"
	}
	passwd += "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
	return passwd, group + "nogroup:x:65534:\n"
}

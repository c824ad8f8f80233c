package sandbox

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"

	"github.com/sprawlto/ratchetai-runner/sandbox/pid1"
)

const (
	callMax  = 30 * time.Second  // one call to the engine
	startMax = 120 * time.Second // create and start
	// startsAtOnce is where the engine starts most containers per second on a
	// small machine; more at a time only makes each slower.
	startsAtOnce = 4
)

// Docker is the Engine for Docker and what speaks its API, from version 1.41.
type Docker struct {
	api    *client.Client
	starts chan struct{}

	mu       sync.Mutex
	cpus     int // 0: not asked yet
	own      ownMounts
	ownKnown bool
}

// NewDocker returns the engine at host, such as unix:///var/run/docker.sock, or
// the one that DOCKER_HOST names if host is empty. It does not connect yet.
func NewDocker(host string) (*Docker, error) {
	opts := []client.Opt{client.FromEnv, client.WithAPIVersionNegotiation()}
	if host != "" {
		opts = append(opts, client.WithHost(host))
	}
	api, err := client.NewClientWithOpts(opts...)
	if err != nil {
		return nil, fmt.Errorf("configure the engine's client: %w", err)
	}
	return &Docker{api: api, starts: make(chan struct{}, startsAtOnce)}, nil
}

// Close releases idle connections. Processes are not affected.
func (d *Docker) Close() error { return d.api.Close() }

// EngineInfo describes the engine as far as it matters to sandboxes.
type EngineInfo struct {
	Version    string
	APIVersion string
	Arch       string // "amd64" or "arm64"
	CPUs       int
	Rootless   bool
	Runtimes   []string
	Warnings   []string // limits that the engine cannot enforce
	Cgroup     string   // "1" or "2"
	Unlimited  []string // of memory, processes, processors: what it cannot limit
	Seccomp    bool     // it filters system calls
	Root       string   // its directory, on its own machine
	Clock      time.Time
}

// Info asks the engine about itself.
func (d *Docker) Info(ctx context.Context) (EngineInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	info, err := d.api.Info(ctx)
	if err != nil {
		return EngineInfo{}, d.fail("ask the engine", err)
	}
	e := EngineInfo{
		Version: info.ServerVersion, APIVersion: d.api.ClientVersion(), CPUs: info.NCPU,
		Arch: goArch(info.Architecture), Warnings: info.Warnings, Cgroup: info.CgroupVersion, Root: info.DockerRootDir,
	}
	e.Clock, _ = time.Parse(time.RFC3339Nano, info.SystemTime)
	for _, o := range info.SecurityOptions {
		e.Rootless = e.Rootless || strings.HasPrefix(o, "name=rootless")
		e.Seccomp = e.Seccomp || strings.HasPrefix(o, "name=seccomp")
	}
	for _, l := range []struct {
		name string
		ok   bool
	}{{"memory", info.MemoryLimit}, {"processes", info.PidsLimit}, {"processors", info.CPUCfsQuota}} {
		if !l.ok {
			e.Unlimited = append(e.Unlimited, l.name)
		}
	}
	for name := range info.Runtimes {
		e.Runtimes = append(e.Runtimes, name)
	}
	d.mu.Lock()
	d.cpus = info.NCPU
	d.mu.Unlock()
	return e, nil
}

func goArch(machine string) string {
	switch machine {
	case "x86_64":
		return "amd64"
	case "aarch64":
		return "arm64"
	}
	return machine
}

// Start implements Engine.
func (d *Docker) Start(ctx context.Context, spec Spec) (Process, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	cpus, err := d.processors(ctx)
	if err != nil {
		return nil, err
	}
	select {
	case d.starts <- struct{}{}:
		defer func() { <-d.starts }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	out, err := prepareState(spec)
	if err != nil {
		return nil, fmt.Errorf("prepare sandbox %s: %w", spec.ID, err)
	}
	p, err := d.startPrepared(ctx, spec, cpus, out)
	if err != nil {
		out.Close()
		_ = os.Remove(out.Name()) // the next try makes it again
		return nil, err
	}
	return p, nil
}

func (d *Docker) startPrepared(ctx context.Context, spec Spec, cpus int, out *os.File) (*process, error) {
	ctx, cancel := context.WithTimeout(ctx, startMax)
	defer cancel()
	own, err := d.ownMounts(ctx)
	if err != nil {
		return nil, err
	}
	request := plan(spec, cpus)
	if err := own.place(request, spec.State); err != nil {
		return nil, fmt.Errorf("create sandbox %s: %w", spec.ID, err)
	}
	created, err := d.create(ctx, request)
	if err != nil {
		if errdefs.IsNotFound(err) {
			return nil, fmt.Errorf("create sandbox %s from %s: %w", spec.ID, spec.Image, ErrNoImage)
		}
		return nil, d.fail("create sandbox "+spec.ID, err)
	}
	p := newProcess(d, created.ID, spec)
	p.out.file = out
	if err := p.start(ctx); err != nil {
		_ = p.Close()
		_ = d.remove(context.WithoutCancel(ctx), created.ID)
		return nil, d.fail("start sandbox "+spec.ID, err)
	}
	return p, nil
}

// create does not end with ctx: the engine creates the container even if nobody
// waits for the answer, and then nobody knows that it is there.
func (d *Docker) create(ctx context.Context, r request) (container.CreateResponse, error) {
	if ctx.Err() != nil {
		return container.CreateResponse{}, context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callMax)
	defer cancel()
	return d.api.ContainerCreate(ctx, r.Config, r.Host, nil, nil, r.Name)
}

func (d *Docker) processors(ctx context.Context) (int, error) {
	d.mu.Lock()
	n := d.cpus
	d.mu.Unlock()
	if n > 0 {
		return n, nil
	}
	info, err := d.Info(ctx)
	return info.CPUs, err
}

// prepareState lays out the sandbox's directory: io for PID 1 and files of /etc.
// It returns the file that PID 1 will keep stdout in: who has it open before the
// process starts misses nothing that the process replaces it by.
func prepareState(s Spec) (out *os.File, err error) {
	var uid, gid int
	if _, err := fmt.Sscanf(s.User, "%d:%d", &uid, &gid); err != nil {
		return nil, fmt.Errorf("user %q: %w", s.User, err)
	}
	home := s.Dir
	for _, e := range s.Env {
		if v, ok := strings.CutPrefix(e, "HOME="); ok {
			home = v
		}
	}
	io := filepath.Join(s.State, "io")
	if err := os.MkdirAll(io, 0o700); err != nil {
		return nil, err
	}
	passwd, group := accounts(s.User, home)
	for name, text := range map[string]string{"passwd": passwd, "group": group, "hosts": hosts} {
		file := filepath.Join(s.State, name)
		err := os.WriteFile(file, []byte(text), 0o644)
		if err == nil {
			err = os.Chmod(file, 0o644) // whatever our umask is, the agent has to read it
		}
		if err != nil {
			return nil, err
		}
	}
	if _, err := os.Lstat(filepath.Join(io, pid1.StdoutFile)); err == nil {
		return nil, errors.New("another process's stdout is in " + io)
	}
	out, err = os.OpenFile(filepath.Join(io, pid1.NewStdoutFile), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = writeKey(s.State)
	if err == nil && os.Geteuid() == 0 {
		err = errors.Join(out.Chown(uid, gid), os.Chown(io, uid, gid), os.Chown(filepath.Join(io, pid1.KeyFile), uid, gid))
	}
	if err != nil {
		out.Close()
		return nil, err
	}
	return out, nil
}

// writeKey makes the key by which PID 1 is told from the agent: one copy for PID 1,
// which removes it before the agent starts, and ours, which the sandbox does not see.
func writeKey(state string) error {
	key := make([]byte, pid1.KeyBytes)
	_, _ = rand.Read(key) // never fails
	return errors.Join(
		os.WriteFile(filepath.Join(state, pid1.KeyFile), key, 0o600),
		os.WriteFile(filepath.Join(state, "io", pid1.KeyFile), key, 0o600),
	)
}

// Adopt implements Engine.
func (d *Docker) Adopt(ctx context.Context, spec Spec, offset int64) (Process, error) {
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	c, err := d.api.ContainerInspect(ctx, namePrefix+spec.ID)
	if err != nil {
		return nil, d.fail("adopt sandbox "+spec.ID, err)
	}
	if c.State.Status == "created" { // its maker ended before the start
		if err := d.remove(ctx, c.ID); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("adopt sandbox %s, which never started: %w", spec.ID, ErrNotFound)
	}
	p := newProcess(d, c.ID, spec)
	p.adopt(offset)
	return p, nil
}

// List implements Engine.
func (d *Docker) List(ctx context.Context, runner string) ([]Info, error) {
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	f := filters.NewArgs(filters.Arg("label", labelSession))
	if runner != "" {
		f.Add("label", labelRunner+"="+runner)
	}
	all, err := d.api.ContainerList(ctx, container.ListOptions{All: true, Filters: f})
	if err != nil {
		return nil, d.fail("list sandboxes", err)
	}
	infos := make([]Info, len(all))
	for i, c := range all {
		infos[i] = Info{
			ID: c.Labels[labelSession], Runner: c.Labels[labelRunner],
			Running: c.State == "running" || c.State == "paused", Created: time.Unix(c.Created, 0),
		}
	}
	return infos, nil
}

// Remove implements Engine.
func (d *Docker) Remove(ctx context.Context, id string) error {
	return d.remove(ctx, namePrefix+id)
}

func (d *Docker) remove(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	err := d.api.ContainerRemove(ctx, name, container.RemoveOptions{Force: true, RemoveVolumes: true})
	if err == nil || errdefs.IsNotFound(err) || errdefs.IsConflict(err) { // a conflict: it is being removed
		return nil
	}
	return d.fail("remove "+name, err)
}

// fail wraps an engine's error once, with the sentinel that it amounts to.
func (d *Docker) fail(doing string, err error) error {
	switch {
	case connectionLost(err):
		return fmt.Errorf("%s: %w at %s", doing, ErrUnavailable, d.api.DaemonHost())
	case errdefs.IsNotFound(err):
		return fmt.Errorf("%s: %w", doing, ErrNotFound)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// stats decodes the engine's one-shot statistics.
func (d *Docker) stats(ctx context.Context, id string) (Stats, error) {
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	r, err := d.api.ContainerStatsOneShot(ctx, id)
	if err != nil {
		return Stats{}, d.fail("read statistics", err)
	}
	defer r.Body.Close()
	var s container.StatsResponse
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&s); err != nil {
		return Stats{}, fmt.Errorf("read statistics: %w", err)
	}
	cache := s.MemoryStats.Stats["total_inactive_file"] // cgroup v1
	if cache == 0 {
		cache = s.MemoryStats.Stats["inactive_file"] // v2
	}
	return Stats{
		MemoryBytes: int64(s.MemoryStats.Usage - min(cache, s.MemoryStats.Usage)),
		Processes:   int64(s.PidsStats.Current),
		CPU:         time.Duration(s.CPUStats.CPUUsage.TotalUsage),
	}, nil
}

// connectionLost reports whether err says that the engine went away, rather
// than that it refused.
func connectionLost(err error) bool {
	return client.IsErrConnectionFailed(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

const (
	// skewWarn and skewFail are how far the engine's clock may be from ours.
	skewWarn = 5 * time.Second
	skewFail = 5 * time.Minute
	// staleWarn is from how many old images on somebody should remove them.
	staleWarn = 5
)

// engine looks at the engine and at everything that only it knows.
func engine(ctx context.Context, o Options) []Finding {
	d, err := o.Engine(ctx)
	var info sandbox.EngineInfo
	if err == nil {
		defer d.Close()
		info, err = d.Info(ctx)
	}
	if err != nil {
		remedy := "start Docker, join the group docker, or set DOCKER_HOST"
		if host := o.Getenv("DOCKER_HOST"); host != "" {
			remedy = "DOCKER_HOST is " + host + ": start the engine there, or unset it"
		}
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%w within %s", sandbox.ErrUnavailable, checkMax)
		}
		if errors.Is(err, sandbox.ErrNotFound) {
			err = errors.New("what answers is no container engine")
		}
		return []Finding{{"engine", Fail, err.Error(), remedy}}
	}
	o.Builder.Engine = d
	all := append(about(info), limits(info), skew(info, o.Now()))
	if err := d.OnHost(ctx, existing(o.State)); errors.Is(err, sandbox.ErrNotOnHost) {
		all = append(all, Finding{"container", Fail, err.Error(), "give this container a volume for RATCHETAI_STATE_DIR"})
	}
	all = append(all, builtImages(ctx, o)...)
	return append(all, engineDisk(info)...)
}

// about judges what the engine says of itself.
func about(i sandbox.EngineInfo) []Finding {
	slices.Sort(i.Runtimes)
	text := fmt.Sprintf("version %s, API %s, %s, cgroup v%s, runtimes %s", i.Version, i.APIVersion, i.Arch, i.Cgroup, strings.Join(i.Runtimes, " "))
	if i.Rootless {
		text += ", rootless"
	}
	all := []Finding{{"engine", OK, text, ""}}
	if !atLeast(i.APIVersion, 1, 41) {
		all[0].Level, all[0].Remedy = Fail, "update the engine: API 1.41 (Docker 20.10) is the oldest that works"
	}
	if !i.Seccomp {
		all = append(all, Finding{"seccomp", Fail, "the engine filters no system calls", "let it use its default seccomp profile"})
	}
	return all
}

// atLeast compares a version MAJOR.MINOR.
func atLeast(version string, major, minor int) bool {
	a, b, _ := strings.Cut(version, ".")
	m, err := strconv.Atoi(a)
	n, err2 := strconv.Atoi(b)
	return err == nil && err2 == nil && (m > major || m == major && n >= minor)
}

// limits says whether a session can be kept from using up the machine. A
// rootless engine without delegated cgroups ignores limits and says no more.
func limits(i sandbox.EngineInfo) Finding {
	switch {
	case len(i.Unlimited) > 0 && i.Rootless:
		return Finding{"limits", Fail, "the rootless engine ignores limits on " + strings.Join(i.Unlimited, ", "),
			"use cgroup v2 and delegate its controllers: systemctl edit user@.service, Delegate=cpu cpuset io memory pids"}
	case len(i.Unlimited) > 0:
		return Finding{"limits", Fail, "the engine cannot limit " + strings.Join(i.Unlimited, ", "),
			"enable those cgroup controllers in the kernel's command line, such as cgroup_enable=memory"}
	case len(i.Warnings) > 0:
		return Finding{"limits", Warn, "the engine warns: " + strings.Join(i.Warnings, "; "), "see its documentation on kernel support; selftest --attack shows what holds"}
	}
	return Finding{"limits", OK, "memory, processes and processors can be limited", ""}
}

func skew(i sandbox.EngineInfo, now time.Time) Finding {
	if i.Clock.IsZero() {
		return Finding{"engine clock", Warn, "the engine does not tell its time", "compare it with this machine's"}
	}
	d := i.Clock.Sub(now).Abs().Round(time.Second)
	f := Finding{"engine clock", OK, fmt.Sprintf("%s from ours", d), ""}
	if d >= skewWarn {
		f.Level, f.Remedy = Warn, "synchronise both clocks (NTP): deadlines and logins go by them"
	}
	if d >= skewFail {
		f.Level = Fail
	}
	return f
}

// builtImages says whether a session can start at once.
func builtImages(ctx context.Context, o Options) []Finding {
	wanted, err := o.Builder.Wanted(ctx)
	if err != nil {
		return []Finding{{"image", Fail, err.Error(), "see the message"}}
	}
	have, err := o.Builder.Have(ctx)
	if err != nil {
		return []Finding{{"image", Fail, err.Error(), "see whether the engine works: docker images"}}
	}
	built, err := o.Builder.Images(ctx, nil)
	if err != nil {
		return []Finding{{"image", Fail, err.Error(), "see whether the engine works: docker images"}}
	}
	return judgeImages(wanted, have, len(runner.Removable(built, false)))
}

// judgeImages compares the wanted tags, the session's last, with what is there, of
// which nothing needs a number of stale ones.
func judgeImages(wanted []string, have []sandbox.ImageInfo, stale int) []Finding {
	bytes := map[string]int64{}
	for _, i := range have {
		bytes[i.Tag] = i.Bytes
	}
	last := wanted[len(wanted)-1]
	missing := slices.DeleteFunc(slices.Clone(wanted), func(tag string) bool { return bytes[tag] > 0 })
	f := Finding{"image", OK, fmt.Sprintf("%s is built, %s", last, size(bytes[last])), ""}
	switch {
	case len(missing) == 1 && missing[0] == last:
		f.What = last + " is not built for this version of the program; the next run does that in seconds"
	case bytes[last] == 0:
		f = Finding{"image", Warn, fmt.Sprintf("%d of %d images are not built: the first run takes minutes", len(missing), len(wanted)), "ratchetai-runner images build"}
	}
	if stale == 0 {
		return []Finding{f}
	}
	old := Finding{"old images", OK, fmt.Sprintf("%d that nothing needs", stale), ""}
	if stale >= staleWarn {
		old.Level, old.Remedy = Warn, "ratchetai-runner images prune"
	}
	return []Finding{f, old}
}

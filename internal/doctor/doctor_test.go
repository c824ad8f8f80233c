package doctor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/internal/credential"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

func now() time.Time { return time.Date(2026, 11, 25, 16, 0, 0, 0, time.UTC) }

// without is a machine with nothing.
func without(t *testing.T) Options {
	t.Helper()
	dir := t.TempDir()
	return Options{
		Getenv: func(string) string { return "" }, Home: filepath.Join(dir, "home"), State: filepath.Join(dir, "state"), Now: now,
		Engine: func(context.Context) (*sandbox.Docker, error) { return nil, sandbox.ErrUnavailable },
	}
}

func find(t *testing.T, all []Finding, check string) Finding {
	t.Helper()
	for _, f := range all {
		if f.Check == check {
			return f
		}
	}
	t.Fatalf("no finding %q in %+v", check, all)
	return Finding{}
}

func TestMachineWithNothing(t *testing.T) {
	t.Parallel()
	o := without(t)
	all := Run(t.Context(), o)
	for check, want := range map[string]Level{"engine": Fail, "login claude": Fail, "login codex": Fail, "agents": OK, "state": OK} {
		if f := find(t, all, check); f.Level != want {
			t.Errorf("%+v, want %s", f, want)
		}
	}
	for _, f := range all {
		if (f.Level == OK) != (f.Remedy == "") {
			t.Errorf("a remedy belongs to what is wrong, and only there: %+v", f)
		}
	}
	if !Unwell(all) {
		t.Error("all is well")
	}
	if _, err := os.Stat(o.State); err == nil {
		t.Error("the state directory was made")
	}
}

// TestHangs: a check that never returns costs a bounded time and fails alone.
func TestHangs(t *testing.T) {
	t.Parallel()
	o := without(t)
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		o.Engine = func(context.Context) (*sandbox.Docker, error) {
			<-release // whatever its context says
			return nil, errors.New("late")
		}
		began := time.Now()
		all := Run(t.Context(), o)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("took %s", took)
		}
		if f := find(t, all, "engine"); f.Level != Fail || !strings.Contains(f.What, "no answer") {
			t.Errorf("%+v", f)
		}
		find(t, all, "disk")
		close(release)
	})
}

func TestOneLoginIsEnough(t *testing.T) {
	t.Parallel()
	o := without(t)
	o.Getenv = func(name string) string { return map[string]string{"OPENAI_API_KEY": "sk-x"}[name] }
	all := logins(t.Context(), o)
	if f := find(t, all, "login claude"); f.Level != Warn {
		t.Errorf("%+v", f)
	}
	f := find(t, all, "login codex")
	if f.Level != OK || strings.Contains(f.What, "sk-x") {
		t.Errorf("%+v", f)
	}
}

func TestLoginEnds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		end     time.Duration // from the real now, which package credential goes by
		refresh string
		want    Level
		text    string
	}{
		"long":      {8 * time.Hour, "", OK, ", until "},
		"soon":      {30 * time.Minute, "", Warn, "in 29 minutes"},
		"expired":   {-time.Minute, "", Fail, "expired"},
		"renewable": {-time.Minute, "sk-secret-refresh", OK, "renewed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := without(t)
			o.Now = time.Now
			login := filepath.Join(o.Home, ".claude", ".credentials.json")
			if err := os.MkdirAll(filepath.Dir(login), 0o700); err != nil {
				t.Fatal(err)
			}
			data := `{"claudeAiOauth":{"accessToken":"sk-secret-token","refreshToken":"` + tt.refresh + `","expiresAt":` +
				strconv.FormatInt(time.Now().Add(tt.end).UnixMilli(), 10) + `}}`
			if err := os.WriteFile(login, []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
			f := find(t, logins(t.Context(), o), "login claude")
			if f.Level != tt.want || !strings.Contains(f.What, tt.text) || strings.Contains(f.What+f.Remedy, "secret") {
				t.Errorf("%+v", f)
			}
		})
	}
}

func TestJudgeLogin(t *testing.T) {
	t.Parallel()
	err := errors.Join(errors.New("claude login x: broken; log in; do this"))
	want := Finding{"login claude", Fail, "claude login x: broken; log in", "do this"}
	if d := cmp.Diff(want, judgeLogin("claude", credential.Source{}, err, now())); d != "" {
		t.Error(d)
	}
}

func TestEngine(t *testing.T) {
	t.Parallel()
	good := sandbox.EngineInfo{Version: "28.5.2", APIVersion: "1.51", Arch: "amd64", Cgroup: "2", Seccomp: true, Clock: now(), Runtimes: []string{"runsc", "runc"}}
	with := func(change func(*sandbox.EngineInfo)) sandbox.EngineInfo {
		i := good
		change(&i)
		return i
	}
	for name, tt := range map[string]struct {
		info  sandbox.EngineInfo
		check string
		want  Level
	}{
		"good":      {good, "engine", OK},
		"old":       {with(func(i *sandbox.EngineInfo) { i.APIVersion = "1.40" }), "engine", Fail},
		"API 2":     {with(func(i *sandbox.EngineInfo) { i.APIVersion = "2.0" }), "engine", OK},
		"nonsense":  {with(func(i *sandbox.EngineInfo) { i.APIVersion = "x" }), "engine", Fail},
		"unfilter":  {with(func(i *sandbox.EngineInfo) { i.Seccomp = false }), "seccomp", Fail},
		"limits":    {good, "limits", OK},
		"unlimited": {with(func(i *sandbox.EngineInfo) { i.Unlimited = []string{"memory"} }), "limits", Fail},
		"rootless":  {with(func(i *sandbox.EngineInfo) { i.Rootless, i.Unlimited = true, []string{"processors"} }), "limits", Fail},
		"warnings":  {with(func(i *sandbox.EngineInfo) { i.Warnings = []string{"WARNING: No swap limit support"} }), "limits", Warn},
		"skew":      {with(func(i *sandbox.EngineInfo) { i.Clock = now().Add(-time.Minute) }), "engine clock", Warn},
		"far skew":  {with(func(i *sandbox.EngineInfo) { i.Clock = now().Add(time.Hour) }), "engine clock", Fail},
		"no clock":  {with(func(i *sandbox.EngineInfo) { i.Clock = time.Time{} }), "engine clock", Warn},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := append(about(tt.info), limits(tt.info), skew(tt.info, now()))
			if f := find(t, all, tt.check); f.Level != tt.want || (f.Level == OK) != (f.Remedy == "") {
				t.Errorf("%+v, want %s", f, tt.want)
			}
		})
	}
}

func TestImages(t *testing.T) {
	t.Parallel()
	wanted := []string{"r-session:1", "r-agents:1", "r:1"}
	have := func(tags ...string) (all []sandbox.ImageInfo) {
		for _, tag := range tags {
			all = append(all, sandbox.ImageInfo{Tag: tag, Bytes: 981e6})
		}
		return all
	}
	for name, tt := range map[string]struct {
		have  []sandbox.ImageInfo
		stale int
		want  []Finding
	}{
		"built": {have("r:1", "r-agents:1", "r-session:1"), 0, []Finding{{"image", OK, "r:1 is built, 981 MB", ""}}},
		"new program": {have("r:0", "r-agents:1", "r-session:1"), 1, []Finding{
			{"image", OK, "r:1 is not built for this version of the program; the next run does that in seconds", ""}, {"old images", OK, "1 that nothing needs", ""},
		}},
		"nothing": {nil, 0, []Finding{{"image", Warn, "3 of 3 images are not built: the first run takes minutes", "ratchetai-runner images build"}}},
		"many": {have("r:1", "r-agents:1", "r-session:1", "r:2"), 5, []Finding{
			{"image", OK, "r:1 is built, 981 MB", ""},
			{"old images", Warn, "5 that nothing needs", "ratchetai-runner images prune"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if d := cmp.Diff(tt.want, judgeImages(wanted, tt.have, tt.stale)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestState(t *testing.T) {
	t.Parallel()
	o := without(t)
	look := func() Finding { return state(t.Context(), o)[0] }
	if err := os.Mkdir(o.State, 0o700); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[os.FileMode]Level{0o700: OK, 0o750: Warn, 0o755: Warn, 0o770: Fail, 0o777: Fail} {
		if err := os.Chmod(o.State, mode); err != nil {
			t.Fatal(err)
		}
		if f := look(); f.Level != want || (f.Level == OK) != (f.Remedy == "") {
			t.Errorf("%s: %+v", mode, f)
		}
	}
	o.State = filepath.Join(o.State, "file")
	if err := os.WriteFile(o.State, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if f := look(); f.Level != Fail {
		t.Errorf("a file: %+v", f)
	}
}

func TestDisk(t *testing.T) {
	t.Parallel()
	for left, want := range map[int64]Level{100 << 30: OK, 4 << 30: Warn, 100 << 20: Fail} {
		if f := judgeDisk("disk", "/x", "remove", left); f.Level != want {
			t.Errorf("%+v, want %s", f, want)
		}
	}
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	o := without(t)
	file := filepath.Join(t.TempDir(), "ca.crt")
	o.Getenv = func(string) string { return file }
	if f := certificates(t.Context(), o)[0]; f.Level != Fail || !strings.Contains(f.What, file) {
		t.Errorf("missing: %+v", f)
	}
	if err := os.WriteFile(file, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if f := certificates(t.Context(), o)[0]; f.Level != Fail || !strings.Contains(f.What, "0 certificates") {
		t.Errorf("empty: %+v", f)
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	o := without(t)
	o.Builder = runner.Builder{ClaudeVersion: "9.9.9"}
	if f := versions(t.Context(), o)[0]; f.Level != Warn || !strings.Contains(f.What, "claude 9.9.9 instead of ") {
		t.Errorf("%+v", f)
	}
}

func TestProgramFromTheFuture(t *testing.T) {
	t.Parallel()
	o := without(t)
	o.Builder.Program = filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(o.Builder.Program, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(o.Builder.Program, time.Time{}, now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if f := programClock(t.Context(), o); len(f) != 1 || f[0].Level != Warn {
		t.Errorf("%+v", f)
	}
	if err := os.Chtimes(o.Builder.Program, time.Time{}, now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if f := programClock(t.Context(), o); len(f) != 0 {
		t.Errorf("%+v", f)
	}
}

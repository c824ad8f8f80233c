package sandbox

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// TestPlan compares whole create requests with testdata/plan: a change of any
// flag of a container shows in review.
func TestPlan(t *testing.T) {
	t.Parallel()
	minimal := Spec{ID: "s1", Image: "img", Command: []string{"agent"}, User: "1000:1000", State: "/state"}
	with := func(change func(*Spec)) Spec {
		s := minimal
		change(&s)
		return s
	}
	for name, spec := range map[string]Spec{
		"default": minimal,
		"open":    with(func(s *Spec) { s.Network = NetworkOpen }),
		"runsc":   with(func(s *Spec) { s.Runtime = "runsc" }),
		"all": {
			ID: "s2", Runner: "r1", Image: "img@sha256:00", Command: []string{"agent", "-x", "a b", ""},
			Env: []string{"A=1", "HOME=/home/agent"}, Dir: "/workspace", User: "7:8", State: "/state/s2",
			Mounts:      []Mount{{Source: "/src", Target: "/workspace"}, {Source: "/cred", Target: "/cred", ReadOnly: true}},
			Network:     NetworkNone,
			OrphanAfter: time.Hour,
			Limits: Limits{
				MemoryBytes: 1 << 30, CPUs: 1.5, Processes: 99, OpenFiles: 77,
				TmpBytes: 1 << 20, ShmBytes: 1 << 21, StdoutBytes: 1 << 22,
			},
			Runtime: "runc",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := spec.Validate(); err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(plan(spec, 8), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata", "plan", name+".json"), append(got, '\n'))
		})
	}
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s (-want +got), -update to accept:\n%s", file, d)
	}
}

func TestPlanCPUs(t *testing.T) {
	t.Parallel()
	spec := Spec{Limits: Limits{CPUs: 8}}
	if got := plan(spec, 2).Host.NanoCPUs; got != 2e9 { // more than the engine has is refused by it
		t.Errorf("%d nano CPUs on two processors", got)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	ok := Spec{ID: "s1", Image: "img", Command: []string{"agent"}, User: "1000:1000", State: "/state"}
	for name, change := range map[string]func(*Spec){
		"id":           func(s *Spec) { s.ID = "a b" },
		"empty id":     func(s *Spec) { s.ID = "" },
		"image":        func(s *Spec) { s.Image = "" },
		"command":      func(s *Spec) { s.Command = nil },
		"user":         func(s *Spec) { s.User = "agent" },
		"user tail":    func(s *Spec) { s.User = "1:1:1" },
		"negative":     func(s *Spec) { s.User = "-1:1" },
		"state":        func(s *Spec) { s.State = "state" },
		"network":      func(s *Spec) { s.Network = "host" },
		"mount":        func(s *Spec) { s.Mounts = []Mount{{Source: "a", Target: "/a"}} },
		"socket":       func(s *Spec) { s.Mounts = []Mount{{Source: "/run/docker.sock", Target: "/a"}} },
		"environment":  func(s *Spec) { s.Env = []string{"=x"} },
		"environment0": func(s *Spec) { s.Env = []string{"A=\x00"} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := ok
			change(&s)
			if err := s.Validate(); err == nil || !strings.HasPrefix(err.Error(), "invalid sandbox: ") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	for user, want := range map[string][2]string{
		"1000:100": {"agent:x:1000:100:agent:/home/agent:/bin/bash\n", "agent:x:100:\n"},
		"0:0":      {"root:x:0:0:root:/home/agent:/bin/bash\n", "root:x:0:\n"},
		"0:5":      {"root:x:0:5:root:/home/agent:/bin/bash\n", "agent:x:5:\n"},
	} {
		passwd, group := accounts(user, "/home/agent")
		if strings.Count(passwd, want[0]) != 1 || strings.Count(group, want[1]) != 1 {
			t.Errorf("%s: passwd %q, group %q", user, passwd, group)
		}
	}
}

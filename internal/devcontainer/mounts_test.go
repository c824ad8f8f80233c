package devcontainer

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMounts(t *testing.T) {
	t.Parallel()
	const local = "${localWorkspaceFolder}"
	line := func(source, target string) string {
		return fmt.Sprintf("type=bind,source=%s,target=%s", source, target)
	}
	object := func(kv ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i]] = kv[i+1]
		}
		return m
	}
	for name, c := range map[string]struct {
		entry any
		want  string // SOURCE TARGET ro|rw, or what the reason must hold
	}{
		"string":                 {line(local+"/a/b", "/data"), "a/b /data rw"},
		"object":                 {object("type", "bind", "source", local+"/a", "target", "/data"), "a /data rw"},
		"other names":            {"src=" + local + "/a,dst=/data,ro,type=bind,consistency=cached", "a /data ro"},
		"destination, readonly":  {"src=" + local + "/a,destination=/data,readonly,type=bind", "a /data ro"},
		"not read-only":          {line(local+"/a", "/data") + ",readonly=0", "a /data rw"},
		"read-only object":       {object("type", "bind", "source", local+"/a", "target", "/data", "readonly", "true"), "a /data ro"},
		"container's folder":     {line("${containerWorkspaceFolder}/a", "/data"), "a /data rw"},
		"cleaned":                {line(local+"//a/./b/../c/", "/data//x/../y/"), "a/c /data/y rw"},
		"folder in the target":   {line(local+"/a", "/x/${containerWorkspaceFolderBasename}"), "a /x/workspace rw"},
		"a comma in an object":   {object("type", "bind", "source", local+"/a,readonly", "target", "/da,ta"), "a,readonly /da,ta rw"},
		"names like reserved":    {line(local+"/..a", "/running/etc"), "..a /running/etc rw"},
		"volume":                 {"source=x,target=/data,type=volume", "type=volume"},
		"volume object":          {object("type", "volume", "source", "x", "target", "/data"), "type=volume"},
		"volume by default":      {"source=" + local + "/a,target=/data", "type=volume"},
		"tmpfs":                  {"type=tmpfs,target=/data", "type=tmpfs"},
		"unknown type":           {"type=npipe,source=" + local + "/a,target=/data", "unknown type"},
		"the host's root":        {line("/", "/host"), "source"},
		"the engine's socket":    {line("/var/run/docker.sock", "/var/run/docker.sock"), "source"},
		"relative":               {line("a", "/data"), "source"},
		"no source":              {"type=bind,target=/data", "source"},
		"the whole workspace":    {line(local, "/data"), "source"},
		"the whole, with a dot":  {line(local+"/.", "/data"), "source"},
		"the whole, up again":    {line(local+"/a/..", "/data"), "source"},
		"above":                  {line(local+"/..", "/data"), "source"},
		"above, deeper":          {line(local+"/a/../../b", "/data"), "source"},
		"absolute in the folder": {line(local+"//../etc", "/data"), "source"},
		"beside":                 {line(local+"x", "/data"), "source"},
		"not at the beginning":   {line("/etc/"+local+"/a", "/data"), "source"},
		"the folder twice":       {line(local+"/"+local+"/a", "/data"), "source"},
		"variable":               {line(local+"/${localEnv:HOME}", "/data"), "source"},
		"made of halves":         {line("${local${containerWorkspaceFolder}WorkspaceFolder}/a", "/data"), "source"},
		"made by expansion":      {line("${containerWorkspaceFolderBasename}/a", "/data"), "source"},
		"NUL":                    {line(local+"/a\x00b", "/data"), "source"},
		"NUL in the target":      {line(local+"/a", "/da\x00ta"), "target"},
		"no target":              {"type=bind,source=" + local + "/a", "target"},
		"relative target":        {line(local+"/a", "data"), "target"},
		"variable in the target": {line(local+"/a", "/${localEnv:HOME}"), "target"},
		"the root":               {line(local+"/a", "/"), "target"},
		"the workspace":          {line(local+"/a", "${containerWorkspaceFolder}"), "/workspace"},
		"in the workspace":       {line(local+"/a", "/workspace/.git/hooks"), "/workspace"},
		"holds the home":         {line(local+"/a", "/home"), "/home/agent"},
		"in the home":            {line(local+"/a", "/home/agent/.claude"), "/home/agent"},
		"the login":              {line(local+"/a", "/run/login"), "/run"},
		"by its old name":        {line(local+"/a", "/var/run/login"), "/var/run"},
		"by dots":                {line(local+"/a", "/data/../run//login/"), "/run"},
		"above the root":         {line(local+"/a", "/../../etc/passwd"), "/etc"},
		"the program":            {line(local+"/a", "/opt"), "/opt/ratchetai"},
		"libraries":              {line(local+"/a", "/usr/lib/x86_64-linux-gnu"), "/usr"},
		"devices":                {line(local+"/a", "/dev/shm"), "/dev"},
		"temporary files":        {line(local+"/a", "/tmp/x"), "/tmp"},
		"propagation":            {line(local+"/a", "/data") + ",bind-propagation=rshared", "unknown"},
		"source twice":           {line(local+"/a", "/data") + ",src=/etc", "twice"},
		"aliases in an object":   {object("type", "bind", "source", local+"/a", "src", "/etc", "target", "/data"), "twice"},
		"type twice":             {"type=volume," + line(local+"/a", "/data"), "twice"},
		"quotes":                 {`"source=` + local + `/a,b",target=/data,type=bind`, "unknown"},
		"upper case":             {"TYPE=bind,source=" + local + "/a,target=/data", "unknown"},
		"a comma in a string":    {line(local+"/a,b", "/data"), "unknown"},
		"bad readonly":           {line(local+"/a", "/data") + ",readonly=maybe", "readonly"},
		"empty":                  {"", "unknown"},
		"null":                   {nil, "unknown"},
		"number":                 {7, "neither"},
		"list":                   {[]string{"a"}, "neither"},
		"nested":                 {map[string]any{"type": "bind", "source": []string{"x"}}, "neither"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := json.Marshal(map[string]any{"image": "i", "mounts": []any{c.entry}})
			if err != nil {
				t.Fatal(err)
			}
			got, err := parse(text, ".devcontainer.json", "/workspace")
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Mounts) == 0 {
				if len(got.Ignored) != 1 || !strings.HasPrefix(got.Ignored[0], "mounts[0] (") || !strings.Contains(got.Ignored[0], c.want) {
					t.Errorf("not honoured: %q, want %q", got.Ignored, c.want)
				}
				return
			}
			m, mode := got.Mounts[0], "rw"
			if m.ReadOnly {
				mode = "ro"
			}
			if is := m.Source + " " + m.Target + " " + mode; is != c.want || m.Name != "mounts[0]" || got.Ignored != nil {
				t.Errorf("%s, want %s; not honoured: %q", is, c.want, got.Ignored)
			}
		})
	}
}

// No mount is in another: its place would be made there, or a link followed.
func TestMountsDoNotMeet(t *testing.T) {
	t.Parallel()
	var entries []string
	for _, target := range []string{"/a", "/a", "/a/b", "/ab", "/c/d", "/c", "/c/e"} {
		entries = append(entries, "type=bind,source=${localWorkspaceFolder}/x,target="+target)
	}
	text, _ := json.Marshal(map[string]any{"image": "i", "mounts": entries})
	c, err := parse(text, "n", "/workspace")
	var got []string
	for _, m := range c.Mounts {
		got = append(got, m.Name+" "+m.Target)
	}
	if diff := cmp.Diff([]string{"mounts[0] /a", "mounts[3] /ab", "mounts[4] /c/d", "mounts[6] /c/e"}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if len(c.Ignored) != 3 || !strings.HasPrefix(c.Ignored[0], "mounts[1] (its target") {
		t.Errorf("not honoured: %q", c.Ignored)
	}
}

func TestManyMounts(t *testing.T) {
	t.Parallel()
	text := `{"image": "i", "mounts": [""` + strings.Repeat(`,""`, 10_000) + `]}`
	c, err := parse([]byte(text), "n", "/workspace")
	if err != nil || len(c.Ignored) != mountsMax+1 || c.Ignored[mountsMax] != "mounts beyond 32" {
		t.Errorf("%v, %d are not honoured: %q", err, len(c.Ignored), c.Ignored[len(c.Ignored)-1])
	}
	if _, err := parse([]byte(`{"image": "i", "mounts": "x"}`), "n", "/workspace"); err == nil || !strings.Contains(err.Error(), "mounts: ") {
		t.Errorf("no list: %v", err)
	}
}

// Whatever is given, a mount's source stays in the workspace and its target away from
// what the sandbox needs.
func FuzzMount(f *testing.F) {
	for _, s := range []string{"type=bind,source=${localWorkspaceFolder}/a,target=/b", "a/../..", "/../run", "${containerWorkspaceFolder}"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, source, target string) {
		for _, folder := range []string{"${localWorkspaceFolder}/", "${containerWorkspaceFolder}/"} {
			entry, _ := json.Marshal(map[string]string{"type": "bind", "source": folder + source, "target": target})
			m, problem := mount(entry, "/workspace")
			if problem != "" {
				continue
			}
			if !strings.HasPrefix("/ws/"+m.Source, "/ws/") || strings.Contains("/"+m.Source+"/", "/../") || strings.HasPrefix(m.Source, "/") || m.Source == "" || m.Source == "." {
				t.Errorf("source %q became %q", source, m.Source)
			}
			for _, dir := range append(reserved[:], "/workspace") {
				if touch(m.Target, dir) || m.Target == "/" {
					t.Errorf("target %q became %q", target, m.Target)
				}
			}
		}
	})
}

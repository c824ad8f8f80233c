package credential

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestAccounts(t *testing.T) {
	t.Parallel()
	a := Accounts(filepath.Join(t.TempDir(), "accounts"))
	if all := a.List(); len(all) > 0 {
		t.Errorf("lists %v", all)
	}
	if _, err := a.Find(Claude, "work"); !errors.Is(err, ErrNoLogin) || !strings.Contains(err.Error(), "login claude --account work") {
		t.Errorf("no account: %v", err)
	}
	if err := a.Adopt(Claude, "work", t.TempDir()); !errors.Is(err, ErrNoLogin) {
		t.Errorf("adopts nothing: %v", err)
	}
	expires := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	for _, access := range []string{testAccess, "access-token-0002"} { // the second in place of the first
		made := writeLogin(t, ".credentials.json", claudeFile(access, testRefresh, expires))
		if err := a.Adopt(Claude, "work", made); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Adopt(Claude, "work", writeLogin(t, ".credentials.json", claudeFile("", "", expires))); !errors.Is(err, ErrNoLogin) {
		t.Errorf("adopts a login without a token: %v", err)
	}
	id := "x." + strings.Split(fakeJWT(expires), ".")[1] + ".x"
	if err := a.Adopt(Codex, "default", writeLogin(t, "auth.json", codexFile(id, ""))); err != nil {
		t.Fatal(err)
	}
	src, err := a.Find(Claude, "work")
	if err != nil || src.Account != "work" || src.Mode != ModeMount || src.Describe() != "claude: the account work" {
		t.Errorf("found %+v, %v", src, err)
	}
	if data, err := os.ReadFile(src.Path); err != nil || !strings.Contains(string(data), "access-token-0002") {
		t.Errorf("holds %s, %v", data, err)
	}
	for path, mode := range map[string]os.FileMode{filepath.Dir(src.Path): 0o700, src.Path: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	want := []Info{
		{Agent: Claude, Account: "work", Expires: expires, Subscription: "max", Renewable: true},
		{Agent: Codex, Account: "default", Expires: expires.Truncate(time.Second)},
	}
	if diff := cmp.Diff(want, a.List(), cmpopts.IgnoreFields(Info{}, "Where")); diff != "" {
		t.Error(diff)
	}
	if err := a.Remove(Claude, "work"); err != nil {
		t.Error(err)
	}
	if err := a.Remove(Claude, "work"); !errors.Is(err, ErrNoLogin) {
		t.Errorf("removes it again: %v", err)
	}
	for _, bad := range []string{"", ".", "..", "a/b", "-x", strings.Repeat("x", 65), "a b"} {
		if _, err := a.Dir(Claude, bad); err == nil {
			t.Errorf("%q is a name", bad)
		}
		if err := a.Remove(Claude, bad); err == nil {
			t.Errorf("removes %q", bad)
		}
	}
	if _, err := a.Dir("../claude", "x"); err == nil {
		t.Error("an agent that is none")
	}
}

// In mode host-dir the mount is the directory in which the file really is, nothing
// is written into it, and new secrets are known.
func TestProjectHostDir(t *testing.T) {
	t.Parallel()
	src := source(t, Claude, claudeFile(testAccess, testRefresh, time.Now().Add(time.Hour)))
	real := src.Path
	src.Mode, src.Path = ModeHostDir, filepath.Join(t.TempDir(), ".credentials.json")
	if err := os.Symlink(real, src.Path); err != nil {
		t.Fatal(err)
	}
	p := project(t, src, Options{Poll: time.Millisecond})
	if diff := cmp.Diff(map[string]string{".credentials.json": ".credentials.json"}, p.Links); diff != "" || p.Dir != filepath.Dir(real) {
		t.Errorf("dir %s, %s", p.Dir, diff)
	}
	secrets, _ := watch(t, p)
	content := claudeFile("access-token-0002", "refresh-token-0002", time.Now().Add(time.Hour))
	if err := replace(real, []byte(content), func(string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, secrets); len(got) != 4 {
		t.Errorf("%d secrets, want the old and the new two", len(got))
	}
	if data, err := os.ReadFile(real); err != nil || string(data) != content {
		t.Errorf("the file was changed: %s, %v", data, err)
	}
	if entries, _ := os.ReadDir(p.Dir); len(entries) != 1 {
		t.Errorf("wrote into it: %v", entries)
	}
}

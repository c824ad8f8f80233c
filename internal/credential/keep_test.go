package credential

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeVendor is a login whose renewals rotate, and the CLI that makes them.
type fakeVendor struct {
	t    *testing.T
	src  Source
	life time.Duration

	mu      sync.Mutex
	serial  int
	unspent string // refresh token
	busy    bool
	renewed []time.Time
	refuse  bool  // as after "sign out everywhere": the CLI blanks the file
	fault   error // the CLI does not run
}

func newFakeVendor(t *testing.T, life time.Duration) *fakeVendor {
	v := &fakeVendor{t: t, life: life}
	v.src = source(t, Claude, "")
	v.issue()
	return v
}

// write replaces the file, as the vendors' CLIs do, by one with a time of the
// bubble's clock.
func (v *fakeVendor) write(content string) {
	v.t.Helper()
	now := time.Now()
	err := replace(v.src.Path, []byte(content), func(name string) error { return os.Chtimes(name, now, now) })
	if err != nil {
		v.t.Error(err)
	}
}

func (v *fakeVendor) issue() {
	v.serial++
	v.unspent = fmt.Sprintf("refresh-token-%04d", v.serial)
	v.write(claudeFile(fmt.Sprintf("access-token-%04d", v.serial), v.unspent, time.Now().Add(v.life)))
}

// renew is what the vendor's CLI does in 3 s.
func (v *fakeVendor) renew(_ context.Context, path string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	data, err := os.ReadFile(path)
	if err != nil || v.busy || !strings.Contains(string(data), v.unspent) {
		v.t.Errorf("a race: busy %v, %v, %s", v.busy, err, data)
	}
	if _, err := os.Stat(path + backupSuffix); err != nil {
		v.t.Errorf("no backup: %v", err)
	}
	v.busy = true
	v.mu.Unlock()
	time.Sleep(3 * time.Second)
	v.mu.Lock()
	v.busy = false
	switch {
	case v.fault != nil:
		return v.fault
	case v.refuse:
		v.write(claudeFile("", "", time.Now()))
		return nil
	}
	v.renewed = append(v.renewed, time.Now())
	v.issue()
	return nil
}

// keepers runs n keepers until the test or stop ends, and returns what each has
// reported.
func (v *fakeVendor) keepers(n int) (reports func(i int) []string, stop func()) {
	ctx, cancel := context.WithCancel(v.t.Context())
	var mu sync.Mutex
	var wg sync.WaitGroup
	got := make([][]string, n)
	for i := range n {
		k := &Keeper{Source: v.src, Renew: v.renew, Report: func(err error) {
			mu.Lock()
			defer mu.Unlock()
			got[i] = append(got[i], fmt.Sprint(err))
		}}
		wg.Go(func() { k.Run(ctx) })
	}
	return func(i int) []string {
			mu.Lock()
			defer mu.Unlock()
			return got[i]
		}, func() {
			cancel()
			wg.Wait()
		}
}

func (v *fakeVendor) times() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.renewed)
}

// left are the files beside the login.
func (v *fakeVendor) left() string {
	entries, err := os.ReadDir(filepath.Dir(v.src.Path))
	if err != nil {
		v.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func TestKeeperRenewsInTime(t *testing.T) {
	t.Parallel()
	const lives = 3
	for _, life := range []time.Duration{8 * time.Hour, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			v := newFakeVendor(t, life)
			began := time.Now()
			reports, stop := v.keepers(3)
			time.Sleep(lives * life)
			stop()
			lead := min(4*time.Minute+30*time.Second, life/2)
			if n, most := v.times(), int(lives*life/(life-lead)); n < lives || n > most {
				t.Errorf("life %v: %d renewals, want %d to %d", life, n, lives, most)
			}
			for i, at := range v.renewed {
				if age := at.Sub(began); age < life-lead || age > life-lead+10*time.Second {
					t.Errorf("life %v: renewal %d after %v, want %v and up to 10 s", life, i, age, life-lead)
				}
				began = at
			}
			for i := range 3 {
				if got := reports(i); len(got) > 0 {
					t.Errorf("reported %q", got)
				}
			}
			if got, want := v.left(), ".credentials.json .ratchetai-keeper"; got != want {
				t.Errorf("files %q, want %q", got, want)
			}
		})
	}
}

func TestKeeperBacksOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newFakeVendor(t, 10*time.Minute)
		v.fault = errors.New("no engine")
		tries := 0
		renew := v.renew
		count := func(ctx context.Context, path string) error { tries++; return renew(ctx, path) }
		var reports []string
		k := &Keeper{Source: v.src, Renew: count, Report: func(err error) { reports = append(reports, fmt.Sprint(err)) }}
		other, stop := v.keepers(1) // it tries as well, and shares the pauses
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); k.Run(ctx) }()
		time.Sleep(8 * time.Minute)
		v.mu.Lock()
		v.fault = nil
		v.mu.Unlock()
		time.Sleep(2 * time.Minute)
		cancel()
		<-done
		stop()
		if tries > 8 {
			t.Errorf("%d tries within 10 minutes", tries)
		}
		if v.times() != 1 {
			t.Errorf("%d renewals", v.times())
		}
		for _, got := range [][]string{reports, other(0)} {
			if len(got) != 2 || !strings.Contains(got[0], "no engine") || got[1] != "<nil>" {
				t.Errorf("reported %q, want the failure once and its end", got)
			}
		}
	})
}

func TestKeeperKeepsALostLogin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newFakeVendor(t, 10*time.Minute)
		before, _ := os.ReadFile(v.src.Path)
		v.refuse = true
		reports, stop := v.keepers(3)
		time.Sleep(15 * time.Minute)
		for i := range 3 {
			got := reports(i)
			if len(got) != 1 || !strings.Contains(got[0], "log in") || !strings.Contains(got[0], backupSuffix) || strings.Contains(got[0], "token-0") {
				t.Errorf("reported %q, want what to do", got)
			}
		}
		if kept, err := os.ReadFile(v.src.Path + backupSuffix); err != nil || string(kept) != string(before) {
			t.Errorf("kept %s, %v", kept, err)
		}
		v.mu.Lock()
		v.refuse = false
		v.issue() // the person logs in again
		v.mu.Unlock()
		time.Sleep(9 * time.Minute)
		stop()
		if got := reports(0); len(got) != 2 || got[1] != "<nil>" {
			t.Errorf("reported %q, want the end of it", got)
		}
		if v.times() == 0 || strings.Contains(v.left(), backupSuffix) {
			t.Errorf("%d renewals, files %q", v.times(), v.left())
		}
	})
}

func TestKeeperFinishesWhatItBegan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newFakeVendor(t, 10*time.Minute)
		_, stop := v.keepers(1)
		time.Sleep(5*time.Minute + 31*time.Second) // in the middle of it
		stop()
		if v.times() != 1 {
			t.Errorf("%d renewals", v.times())
		}
	})
}

func TestKeeperNow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newFakeVendor(t, time.Minute)
		k := func() *Keeper { return &Keeper{Source: v.src, Renew: v.renew} }
		if err := k().Now(t.Context()); err != nil || v.times() != 0 {
			t.Errorf("a valid login: %v, %d renewals", err, v.times())
		}
		time.Sleep(time.Hour)
		v.fault = errors.New("no engine")
		if err := k().Now(t.Context()); !errors.Is(err, ErrExpired) || !strings.Contains(err.Error(), "no engine") {
			t.Errorf("one that cannot be renewed: %v", err)
		}
		v.fault = nil
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if err := k().Now(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if v.times() != 1 {
			t.Errorf("%d renewals for one login", v.times())
		}
	})
}

func TestKeeperFollowsALink(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newFakeVendor(t, time.Minute)
		real := v.src.Path
		v.src.Path = filepath.Join(t.TempDir(), ".credentials.json")
		if err := os.Symlink(real, v.src.Path); err != nil {
			t.Fatal(err)
		}
		k := &Keeper{Source: v.src, Renew: func(_ context.Context, path string) error {
			if path != real {
				t.Errorf("renews %s, want %s", path, real)
			}
			return errors.New("enough")
		}}
		time.Sleep(time.Hour)
		if err := k.Now(t.Context()); err == nil {
			t.Error("it was not renewed")
		}
	})
}

package world

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// disk is a small one, in memory.
type disk struct {
	t   testing.TB
	dir string
}

func newDisk(t *testing.T, bytes uint64) disk {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("a disk of its own needs root")
	}
	d := disk{t, t.TempDir()}
	if err := unix.Mount("tmpfs", d.dir, "tmpfs", 0, fmt.Sprint("size=", bytes)); err != nil {
		t.Skip("a disk of its own cannot be mounted: ", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(d.dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return d
}

// resize makes it of another size, not less than what is used.
func (d disk) resize(bytes uint64) {
	d.t.Helper()
	if err := unix.Mount("tmpfs", d.dir, "tmpfs", unix.MS_REMOUNT, fmt.Sprint("size=", bytes)); err != nil {
		d.t.Fatal(err)
	}
}

func (d disk) stat() (used, free uint64) {
	var s unix.Statfs_t
	if err := unix.Statfs(d.dir, &s); err != nil {
		d.t.Fatal(err)
	}
	return (s.Blocks - s.Bfree) * uint64(s.Bsize), s.Bavail * uint64(s.Bsize)
}

// TestControlPlaneDiskFull: sessions go on while nothing can be stored, and a control plane that
// starts meanwhile does so as far as it can. When there is room again, all is stored.
func TestControlPlaneDiskFull(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restarted ", restart), func(t *testing.T) {
			t.Parallel()
			d := newDisk(t, 6<<20)
			synctest.Test(t, func(t *testing.T) {
				d.t = t
				w := NewIn(t, filepath.Join(d.dir, "data"))
				w.Patience = 24 * time.Hour
				w.Machine("nas").Start()
				tasks := []string{
					w.Add(Order{Name: "ends meanwhile", Lines: 600, Bytes: 8000, Pause: 100 * time.Millisecond}),
					w.Add(Order{Name: "goes on", Lines: 600, Bytes: 8000, Pause: 10 * time.Second, Long: 1 << 20}),
				}
				w.Until("the disk is full", func() bool { _, free := d.stat(); return free < 64<<10 })
				time.Sleep(10 * time.Minute)
				if w.Session(tasks[0]).State == task.Ended {
					t.Fatal("everything was stored: nothing is tested")
				}
				if restart {
					if err := w.Plane.Kill(); err != nil {
						t.Log("killed:", err)
					}
					if err := w.Plane.Start(); err != nil {
						t.Log("started:", err)
					}
				}
				time.Sleep(10 * time.Minute)
				d.resize(200 << 20)
				if w.Plane.current() == nil {
					if err := w.Plane.Start(); err != nil {
						t.Fatal(err)
					}
				}
				w.UntilFinished(event.Succeeded, tasks...)
				w.once(2)
			})
		})
	}
}

// TestRunnerDiskFull: the runner's disk is nearly full, or full to the last byte, while sessions
// work. They end as errored, no new ones are taken, and when there is room again, the tasks are
// done.
func TestRunnerDiskFull(t *testing.T) {
	for name, test := range map[string]struct {
		left         uint64
		pause        time.Duration
		lines, bytes int
	}{
		"nearly":                         {32 << 20, 50 * time.Millisecond, 500, 3000},
		"full":                           {0, 50 * time.Millisecond, 500, 3000},
		"full in a burst":                {0, time.Millisecond, 1000, 3000},
		"full in a burst of short lines": {0, time.Millisecond, 2000, 30},
		"full in a burst of long lines":  {0, time.Millisecond, 300, 100_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDisk(t, 4<<30)
			synctest.Test(t, func(t *testing.T) {
				d.t = t
				w := New(t)
				w.Patience = 24 * time.Hour
				m := w.Machine("nas")
				m.state = filepath.Join(d.dir, "state")
				m.Start()
				id := w.Add(Order{Name: "works", Lines: test.lines, Bytes: test.bytes, Pause: test.pause})
				w.Until("it prints", func() bool { return w.Session(id).LastSeq > 20 })
				used, _ := d.stat()
				d.resize(used + test.left)
				time.Sleep(10 * time.Minute)
				now, err := w.People.Task(t.Context(), id)
				if err != nil || now.State == task.Finished || now.State == task.Queued && !strings.Contains(now.Why, "disk left") {
					t.Errorf("the task is %s, because %q (%v)", now.State, now.Why, err)
				}
				t.Logf("meanwhile the task is %s: %s", now.State, now.Why)
				d.resize(4 << 30)
				w.UntilFinished(event.Succeeded, id)
				got := w.Check()
				t.Log(got)
				if got.Runs != 2 {
					t.Errorf("%d agents", got.Runs)
				}
			})
		})
	}
}

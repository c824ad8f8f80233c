package world

import (
	"net/http"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// TestBurst: an agent prints 50,000 lines at once, while the control plane is killed.
func TestBurst(t *testing.T) {
	in(t, func(w *World) {
		w.Machine("nas").Start()
		id := w.Add(Order{Name: "burst", Lines: 50_000, Bytes: 10})
		w.Until("it is under way", func() bool { return w.Session(id).LastSeq > 100 })
		if err := w.Plane.Kill(); err != nil {
			w.Fatal(err)
		}
		if err := w.Plane.Start(); err != nil {
			w.Fatal(err)
		}
		w.UntilFinished(event.Succeeded, id)
		w.once(1)
	})
}

// TestLongLine: a line of 40 MB, whose upload breaks again and again, goes on where it was.
func TestLongLine(t *testing.T) {
	in(t, func(w *World) {
		m := w.Machine("nas")
		puts, bytes := 0, int64(0)
		m.Way.Choose(func(r *http.Request) Fault {
			if is(r) != "artifacts" || r.Method != http.MethodPut {
				return None
			}
			puts, bytes = puts+1, bytes+r.ContentLength
			switch {
			case puts <= 3:
				return CutUp
			case puts == 4:
				return Lost
			}
			return None
		})
		m.Start()
		id := w.Add(Order{Name: "long", Lines: 2, Long: 40 << 20, Pause: time.Second})
		w.UntilFinished(event.Succeeded, id)
		w.once(1)
		w.Logf("%d uploads of %d MB in all", puts, bytes>>20)
		if puts != 4 || bytes > 80<<20 {
			w.Errorf("%d uploads of %d MB in all: they did not go on", puts, bytes>>20)
		}
	})
}

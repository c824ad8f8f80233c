package world

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// TestNothingHappens: without faults, too, everything is stored as it was printed.
func TestNothingHappens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := New(t)
		w.Machine("nas").Start()
		t.Log(w.finishSome())
	})
}

// finishSome runs one task of every kind to its end.
func (w *World) finishSome() Counts {
	var tasks []string
	for _, o := range []Order{{Name: "every kind of line", Lines: 40}, {Name: "long lines", Lines: 3, Long: 1 << 20}, {Name: "nothing"}} {
		tasks = append(tasks, w.Add(o))
	}
	w.UntilFinished(event.Succeeded, tasks...)
	return w.Check()
}

// TestEachFault: every call of a runner meets the fault, three times, and then now and then.
func TestEachFault(t *testing.T) {
	t.Parallel()
	for _, f := range append(AllFaults, Silent, TooLarge) {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := New(t)
				w.Patience = time.Hour
				m := w.Machine("nas")
				calls := map[string]int{}
				m.Way.Choose(func(r *http.Request) Fault {
					calls[is(r)]++
					if n := calls[is(r)]; n > 3 && n%4 != 0 && f != TooLarge {
						return None
					}
					return f
				})
				m.Start()
				t.Logf("%s; %d calls met it", w.finishSome(), m.Way.Met()[f])
			})
		})
	}
}

package store

import (
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// BenchmarkAppend has 50 sessions append batches of 20 to 200 events of 300 bytes at the same
// time, each waiting for its commit, then 500 sessions batches of 1 to 9. It reports events
// per second.
func BenchmarkAppend(b *testing.B) {
	b.Run("large", func(b *testing.B) { benchmarkAppend(b, 50, 20, 200) })
	b.Run("small", func(b *testing.B) { benchmarkAppend(b, 500, 1, 9) })
}

func benchmarkAppend(b *testing.B, sessions, least, most int) {
	s := openSynced(b)
	var held []Held
	for range sessions {
		held = append(held, running(b, s, task.Spec{}))
	}
	sample := ev(1, event.MessageDelta{ID: "msg_1", Text: strings.Repeat("x", 300-len(`{"id":"msg_1","text":""}`))})
	sample.Raw = nil
	if len(sample.Data) != 300 {
		b.Fatal(len(sample.Data))
	}
	b.ResetTimer()
	start := time.Now()
	var wg sync.WaitGroup
	for i, h := range held {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			for seq, left := uint64(1), b.N/sessions+1; left > 0; {
				batch := h.batch()
				for range min(left, least+r.IntN(most-least+1)) {
					e := sample
					e.Seq = seq
					batch.Events = append(batch.Events, e)
					seq++
					left--
				}
				if _, err := s.Append(b.Context(), batch); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(sessions*(b.N/sessions+1))/time.Since(start).Seconds(), "events/s")
}

// BenchmarkOffer measures one write alone, its sync included.
func BenchmarkOffer(b *testing.B) {
	s := openSynced(b)
	for b.Loop() {
		offer(b, s, addTask(b, s, task.Spec{}).ID)
	}
}

// BenchmarkEvents reads what a session stored.
func BenchmarkEvents(b *testing.B) {
	s := open(b)
	h := running(b, s, task.Spec{})
	for i := range uint64(100) {
		appendEvents(b, s, h, notices(1+i*100, 100)...)
	}
	for b.Loop() {
		if n := len(stored(b, s, h.Session)); n != 10_000 {
			b.Fatal(n)
		}
	}
	b.ReportMetric(10_000*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// openSynced is open with a disk that is synced as usual.
func openSynced(b *testing.B) *Store {
	s := open(b)
	if err := s.writer.exec(b.Context(), "PRAGMA synchronous=FULL"); err != nil {
		b.Fatal(err)
	}
	return s
}

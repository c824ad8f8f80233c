package metrics

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The text is what Prometheus' own client makes of the same.
func TestText(t *testing.T) {
	t.Parallel()
	h := NewHistogram(time.Millisecond)
	for _, d := range []time.Duration{0, time.Millisecond, time.Millisecond + 1, 20 * time.Second, time.Hour} {
		h.Observe(d)
	}
	var x Text
	x.Histogram("wait_seconds", "How long.", h)
	x.Family("ended_total", Counter, "What ended.")
	x.Value(3, "outcome", "lost")
	x.Value(0, "outcome", "a \"b\"\\\nç")
	x.One("free_bytes", Gauge, "Room.", 64e9)
	want := `# HELP wait_seconds How long.
# TYPE wait_seconds histogram
wait_seconds_bucket{le="0.001"} 2
wait_seconds_bucket{le="0.004"} 3
wait_seconds_bucket{le="0.016"} 3
wait_seconds_bucket{le="0.064"} 3
wait_seconds_bucket{le="0.256"} 3
wait_seconds_bucket{le="1.024"} 3
wait_seconds_bucket{le="4.096"} 3
wait_seconds_bucket{le="16.384"} 3
wait_seconds_bucket{le="65.536"} 4
wait_seconds_bucket{le="262.144"} 4
wait_seconds_bucket{le="+Inf"} 5
wait_seconds_sum 3620.002000001
wait_seconds_count 5
# HELP ended_total What ended.
# TYPE ended_total counter
ended_total{outcome="lost"} 3
ended_total{outcome="a \"b\"\\\nç"} 0
# HELP free_bytes Room.
# TYPE free_bytes gauge
free_bytes 6.4e+10
`
	w := httptest.NewRecorder()
	if err := x.Answer(w); err != nil || w.Header().Get("Content-Type") != "text/plain; version=0.0.4; charset=utf-8" {
		t.Error(err, w.Header())
	}
	if diff := cmp.Diff(want, w.Body.String()); diff != "" {
		t.Error(diff)
	}
}

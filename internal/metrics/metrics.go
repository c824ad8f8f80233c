// Package metrics writes what a process counts as the text that Prometheus reads.
//
//	count: Histogram, and atomic integers of the owner's ─> Text ─> GET /metrics
//
// It is the part of Prometheus' own client that this program needs. That would cost every
// process, also each that serves nothing, 2 MB of memory and a millisecond at the start.
package metrics

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Kind is what a metric's values mean.
type Kind string

// The kinds of metrics, besides histograms.
const (
	Counter Kind = "counter" // only grows
	Gauge   Kind = "gauge"
)

// Histogram counts durations, in ten buckets of which each ends at four times the end of
// the one before, and one for the rest. It is safe for concurrent use.
type Histogram struct {
	ends    [10]time.Duration // never change
	buckets [11]atomic.Int64  // the last has what is above all ends
	sum     atomic.Int64      // nanoseconds
}

// NewHistogram returns an empty one whose first bucket ends at first.
func NewHistogram(first time.Duration) *Histogram {
	h := &Histogram{}
	for i := range h.ends {
		h.ends[i] = first
		first *= 4
	}
	return h
}

// Observe counts d.
func (h *Histogram) Observe(d time.Duration) {
	i := 0
	for i < len(h.ends) && d > h.ends[i] {
		i++
	}
	h.buckets[i].Add(1)
	h.sum.Add(int64(d))
}

// Text is metrics in Prometheus' format, version 0.0.4. Its zero value is empty.
type Text struct {
	buf  bytes.Buffer
	name string // of the family that is being written
}

// Family begins a metric, whose values follow. help is one line.
func (t *Text) Family(name string, kind Kind, help string) {
	t.name = name
	fmt.Fprintf(&t.buf, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

// Value adds a value to the family, with label="text", which may be anything.
func (t *Text) Value(v float64, label, text string) { t.line("", label, text, v) }

// One adds a metric of one value.
func (t *Text) One(name string, kind Kind, help string, v float64) {
	t.Family(name, kind, help)
	t.line("", "", "", v)
}

// Histogram adds h, whose name ends in _seconds.
func (t *Text) Histogram(name, help string, h *Histogram) {
	t.Family(name, "histogram", help)
	n := int64(0)
	for i, end := range h.ends {
		n += h.buckets[i].Load()
		t.line("_bucket", "le", number(end.Seconds()), float64(n))
	}
	n += h.buckets[len(h.ends)].Load()
	t.line("_bucket", "le", "+Inf", float64(n))
	t.line("_sum", "", "", time.Duration(h.sum.Load()).Seconds())
	t.line("_count", "", "", float64(n))
}

func (t *Text) line(suffix, label, text string, v float64) {
	t.buf.WriteString(t.name + suffix)
	if label != "" {
		text = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(text)
		t.buf.WriteString("{" + label + `="` + text + `"}`)
	}
	t.buf.WriteString(" " + number(v) + "\n")
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// Answer sends the text as the answer to a request.
func (t *Text) Answer(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, err := w.Write(t.buf.Bytes())
	return err
}

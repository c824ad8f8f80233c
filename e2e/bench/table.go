package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// row is one figure. Bare and Ours are what Value was computed from, for people.
type row struct {
	Part    string  `json:"part"`
	What    string  `json:"what"`
	Bare    string  `json:"bare,omitempty"`
	Ours    string  `json:"ours,omitempty"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"` // "ms", "MB", "MB/s", "x" (a ratio) or "" (a count)
	Budget  string  `json:"budget,omitempty"`
	Verdict string  `json:"verdict,omitempty"` // "pass" or "MISS"; empty without a budget
}

// atMost and atLeast give a row its budget.
func (r row) atMost(budget float64) row {
	return r.judge("<= ", budget, r.Value <= budget)
}

func (r row) atLeast(budget float64) row {
	return r.judge(">= ", budget, r.Value >= budget)
}

func (r row) judge(sign string, budget float64, ok bool) row {
	r.Budget, r.Verdict = sign+figure(budget, r.Unit), "MISS"
	if ok {
		r.Verdict = "pass"
	}
	return r
}

// note is a row without a figure: why something was not measured.
func note(what, why string) row { return row{What: what, Ours: why, Unit: "-"} }

func figure(v float64, unit string) string {
	if unit == "-" {
		return ""
	}
	digits := 0
	switch {
	case unit == "x", v != 0 && v > -10 && v < 10 && unit != "":
		digits = 2
	case v > -100 && v < 100 && unit != "":
		digits = 1
	}
	text := strconv.FormatFloat(v, 'f', digits, 64)
	if strings.Contains(text, ".") && unit != "x" {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return strings.TrimSpace(text + " " + unit)
}

// printMachine says what absolute figures depend on.
func printMachine(w io.Writer) {
	load, _ := os.ReadFile("/proc/loadavg")
	average, _, _ := strings.Cut(string(load), " ")
	fmt.Fprintf(w, "%d processors, load %s", runtime.NumCPU(), average)
	pressure, _ := os.ReadFile("/proc/pressure/cpu")
	if _, after, ok := strings.Cut(string(pressure), "avg60="); ok {
		share, _, _ := strings.Cut(after, ".")
		fmt.Fprintf(w, "; in the last minute somebody waited for one %s %% of the time", share)
	}
	fmt.Fprintln(w)
}

func printTable(w io.Writer, rows []row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\tbare\tours\tresult\tbudget\t")
	part := ""
	for _, r := range rows {
		if r.Part != part {
			part = r.Part
			fmt.Fprintf(t, "%s\t\t\t\t\t\n", part)
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%s\n", r.What, r.Bare, r.Ours, figure(r.Value, r.Unit), r.Budget, r.Verdict)
	}
	return t.Flush()
}

func median[T cmp.Ordered](all []T) T {
	var none T
	if len(all) == 0 {
		return none
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

func ms(d time.Duration) float64 { return float64(d) / 1e6 }

func msText(d time.Duration) string { return figure(ms(d), "ms") }

func mb(bytes float64) float64 { return bytes / 1e6 }

func rateText(bytesPerSecond float64) string { return figure(mb(bytesPerSecond), "MB/s") }

// mib is how memory is counted: kilobytes of /proc.
func mib(kb int64) float64 { return float64(kb) / 1024 }

// procField returns a value in kB of a /proc file such as status or smaps_rollup.
func procField(pid int, file, field string) (int64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			return strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		}
	}
	return 0, fmt.Errorf("no %s in /proc/%d/%s", field, pid, file)
}

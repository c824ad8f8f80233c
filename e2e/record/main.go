// Command record makes the recordings that the adapters are tested with, and
// says what changed in the agents' protocols:
//
//	go run ./e2e/record [-out DIR] [-only PART-OF-NAME] IMAGE
//
// It starts the real Claude Code and the real Codex of the image, as `images
// build` prints it, against a scripted model API (package modelapi), once for
// each scenario, and plays the person and the runner: the same adapters that
// run sessions speak to the agents. Nothing leaves the machine.
//
// Each scenario becomes DIR/STREAM/NAME.jsonl: the agent's stdout, line by line,
// with a line {"do":…} for each command at the moment when it was given. Ids,
// times and ports are scrubbed, so that recording the same versions again
// changes next to nothing. DIR/STREAM.shapes lists the shapes of all lines.
//
// The report on stdout is the difference of these shapes to those that were
// there before, and every line that the adapters did not understand. It exits
// with 1 if there were such lines or a scenario could not be recorded.
//
// Afterwards `go test ./internal/agent -update` renews what the adapters make of
// the recordings; review that diff.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	out := flag.String("out", "internal/agent/testdata/recorded", "directory of the recordings")
	only := flag.String("only", "", "record only scenarios whose STREAM/NAME contains this; others keep their recordings")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: record [-out DIR] [-only PART-OF-NAME] IMAGE")
		os.Exit(2)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	ok, err := run(ctx, flag.Arg(0), *out, *only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
	}
	if !ok || err != nil {
		os.Exit(1)
	}
}

// run records and reports; false if the adapters did not understand a line.
func run(ctx context.Context, image, out, only string) (bool, error) {
	var failed []error
	lines, unparsed := 0, 0
	for _, s := range scenarios() {
		name := string(s.stream) + "/" + s.name
		if !strings.Contains(name, only) {
			continue
		}
		r, err := record(ctx, image, s)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", name, err))
			continue
		}
		fmt.Fprintf(os.Stderr, "%-40s %4d lines\n", name, r.lines)
		for _, u := range r.unparsed {
			fmt.Printf("not understood: %s: %s\n", name, u)
		}
		lines, unparsed = lines+r.lines, unparsed+len(r.unparsed)
		if err := write(filepath.Join(out, name+".jsonl"), scrub(r.buf.String())); err != nil {
			return false, err
		}
	}
	fmt.Printf("%d lines recorded, %d not understood\n", lines, unparsed)
	return unparsed == 0, errors.Join(append(failed, report(out))...)
}

// report renews the shapes under out and prints what changed.
func report(out string) error {
	for _, s := range streams() {
		now, err := shapesOf(filepath.Join(out, string(s)))
		if err != nil {
			return err
		}
		file := filepath.Join(out, string(s)+".shapes")
		before, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		changes := drift(parseShapes(string(before)), now)
		fmt.Printf("%s: %d shapes, %d changes\n", s, len(now), len(changes))
		for _, c := range changes {
			fmt.Println("  " + c)
		}
		if err := write(file, now.String()); err != nil {
			return err
		}
	}
	return nil
}

// shapesOf reads the recordings of a directory.
func shapesOf(dir string) (shapes, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		return nil, err
	}
	all := shapes{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(data)) {
			all.add([]byte(line))
		}
	}
	return all, nil
}

func write(path, content string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(content), 0o644)
}

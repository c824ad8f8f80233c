package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/sandbox"
)

// BenchmarkSession is the runner's own part of a stream: a session whose agent's
// output is in memory, from the first line to the journal's last.
func BenchmarkSession(b *testing.B) {
	const session = `,"session_id":"aa75db7b-2859-402a-b5ff-09cec6cd2c2b"}`
	delta := `{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"the quick brown "}}` + session
	input := `{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"the "}}` + session
	long := `{"type":"user","message":{"role":"user","content":[{"tool_use_id":"toolu_01","type":"tool_result","content":"` +
		strings.Repeat(`ok  \tgithub.com/example/module/internal/pkg\t0.042s\n`, 1<<20/53) + `","is_error":false}]},"parent_tool_use_id":null` + session
	for name, lines := range map[string][]string{
		"200B": {delta, delta, delta, input},
		"1MiB": {long},
	} {
		block := []byte(strings.Join(lines, "\n") + "\n")
		for len(block) < 1<<20 {
			block = append(block, block...)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(block)))
			b.ReportAllocs()
			r, _, err := newRunner(stubEngine{block, b.N}, b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			t, err := probeTask(b.TempDir(), "image", fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid()))
			if err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			s, err := r.Start(context.Background(), t)
			if err != nil {
				b.Fatal(err)
			}
			if end := s.Result(); end.Outcome != event.Succeeded {
				b.Fatal(end)
			}
		})
	}
}

// stubEngine runs nothing: its process has printed block times times.
type stubEngine struct {
	block []byte
	times int
}

func (e stubEngine) Start(context.Context, sandbox.Spec) (sandbox.Process, error) {
	end := `{"type":"result","subtype":"success","is_error":false,"result":"done"}` + "\n"
	return stubProcess{io.MultiReader(&repeat{block: e.block, left: e.times * len(e.block)}, strings.NewReader(end))}, nil
}

func (stubEngine) Adopt(context.Context, sandbox.Spec, int64) (sandbox.Process, error) {
	return nil, sandbox.ErrNotFound
}
func (stubEngine) List(context.Context, string) ([]sandbox.Info, error) { return nil, nil }
func (stubEngine) Remove(context.Context, string) error                 { return nil }

type stubProcess struct{ stdout io.Reader }

func (p stubProcess) Stdout() io.Reader                          { return p.stdout }
func (stubProcess) Stderr() io.Reader                            { return bytes.NewReader(nil) }
func (stubProcess) Send(uint64, []byte) error                    { return nil }
func (stubProcess) CloseStdin(uint64) error                      { return nil }
func (stubProcess) Signal(context.Context, syscall.Signal) error { return nil }
func (stubProcess) Kill(context.Context) error                   { return nil }
func (stubProcess) Wait(context.Context) (sandbox.Result, error) { return sandbox.Result{}, nil }
func (stubProcess) Stats(context.Context) (sandbox.Stats, error) { return sandbox.Stats{}, nil }
func (stubProcess) Remove(context.Context) error                 { return nil }
func (stubProcess) Close() error                                 { return nil }

// repeat reads block again and again, in pieces as large as the engine's.
type repeat struct {
	block    []byte
	at, left int
}

func (r *repeat) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 32<<10, r.left)], r.block[r.at:])
	r.at = (r.at + n) % len(r.block)
	r.left -= n
	return n, nil
}

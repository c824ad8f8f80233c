package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/journal"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
)

// fakeSession notes what it is told.
type fakeSession struct {
	mu      sync.Mutex
	calls   []string
	err     error
	done    chan struct{}
	end     event.SessionFinished
	journal *journal.Journal
	open    []event.AskOpened
}

func (f *fakeSession) Asked(id string) (event.AskOpened, error) {
	for _, o := range f.open {
		if o.Ask == id {
			return o, nil
		}
	}
	return event.AskOpened{}, runner.ErrNoAsk
}

func (f *fakeSession) note(call string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, call)
	return f.err
}

func (f *fakeSession) Steer(text string, p agent.Priority) (string, error) {
	return "id", f.note(string(p) + " message " + text)
}
func (f *fakeSession) Withdraw() (string, error) { return "id", f.note("withdraw") }
func (f *fakeSession) Interrupt(stay bool) error {
	if stay {
		return f.note("interrupt and stay")
	}
	return f.note("interrupt")
}
func (f *fakeSession) Answer(a event.Answer, stay bool) error {
	call := fmt.Sprintf("%s %s", a.Decision, a.Ask)
	for _, text := range []string{a.Message, string(a.Input), fmt.Sprint(a.Answers)} {
		if text != "" && text != "map[]" {
			call += " " + text
		}
	}
	if stay {
		call += " and stay"
	}
	return f.note(call)
}
func (f *fakeSession) End(o event.Outcome, _ string)  { _ = f.note("end " + string(o)) }
func (f *fakeSession) Kill(o event.Outcome, _ string) { _ = f.note("kill " + string(o)) }
func (f *fakeSession) Done() <-chan struct{}          { return f.done }
func (f *fakeSession) Result() event.SessionFinished  { return f.end }

func TestSignalLadder(t *testing.T) {
	t.Parallel()
	const ctrlC, term, say = "ctrl-c", "term", "say "
	for _, tc := range []struct {
		name string
		stay bool
		in   []string
		want []string
	}{
		{"no terminal", false, []string{ctrlC, ctrlC, ctrlC, ctrlC}, []string{"interrupt", "end cancelled", "kill cancelled"}},
		{"a terminal", true, []string{ctrlC, ctrlC, ctrlC}, []string{"interrupt and stay", "end cancelled", "kill cancelled"}},
		{"asked to end", true, []string{term, term, term}, []string{"end cancelled", "kill cancelled"}},
		{"both", false, []string{ctrlC, term, ctrlC}, []string{"interrupt", "end cancelled", "kill cancelled"}},
		{"a message goes on", true, []string{ctrlC, say + "x", ctrlC, ctrlC}, []string{"interrupt and stay", "next message x", "interrupt and stay", "end cancelled"}},
		{"a message too late", true, []string{ctrlC, ctrlC, say + "x", ctrlC}, []string{"interrupt and stay", "end cancelled", "next message x", "kill cancelled"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := &fakeSession{}
			said := 0
			l := &ladder{session: f, stay: tc.stay, say: func(string) { said++ }}
			for _, in := range tc.in {
				switch text, ok := strings.CutPrefix(in, say); {
				case ok:
					l.typed(text)
				case in == ctrlC:
					l.signal(os.Interrupt)
				default:
					l.signal(syscall.SIGTERM)
				}
			}
			if diff := cmp.Diff(tc.want, f.calls); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			signals := 0
			for _, c := range f.calls {
				if !strings.Contains(c, "message") {
					signals++
				}
			}
			if said != signals {
				t.Errorf("%d steps were explained, %d taken", said, signals)
			}
		})
	}
}

func TestLadderGoesOnAfterAnError(t *testing.T) {
	t.Parallel()
	f := &fakeSession{err: errors.New("the journal is full")}
	var said []string
	l := &ladder{session: f, say: func(s string) { said = append(said, s) }}
	l.signal(os.Interrupt)
	l.typed("x")
	l.signal(os.Interrupt)
	l.signal(os.Interrupt)
	if diff := cmp.Diff([]string{"interrupt", "next message x", "end cancelled", "kill cancelled"}, f.calls); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(said) != 4 || !strings.Contains(said[0], "journal is full") || !strings.Contains(said[1], "not sent") {
		t.Errorf("said %q", said)
	}
}

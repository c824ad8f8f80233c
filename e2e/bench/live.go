package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/internal/task"
	"github.com/sprawlto/ratchetai-runner/sandbox/sandboxtest"
)

const (
	livePerDaemon = 10
	liveTime      = 3 * time.Second
	liveP50       = 20  // ms
	liveP95       = 100 // ms
)

// measureLive has sessions of real daemons (package connect) on an engine in memory, each
// with a reader: an agent writes what time it is to its stdout, the session redacts,
// decodes and journals that, the daemon uploads it from the journal, the control plane
// stores it, and the reader compares the time with its own.
func measureLive(ctx context.Context, l *lab) ([]row, error) {
	var rows []row
	for _, n := range []int{1, 50, 200} {
		every := 200 * time.Millisecond
		if n == 1 {
			every = 25 * time.Millisecond
		}
		lags, use, load, err := l.live(ctx, n, every)
		if err != nil {
			return rows, err
		}
		what := fmt.Sprintf("stdout to reader, %d sessions", n)
		rows = append(rows,
			row{
				What: what + ": p50", Ours: fmt.Sprintf("%d lines, %.2f cores, runners and readers %.2f", len(lags), use.cores, load),
				Value: ms(quantile(lags, 0.5)), Unit: "ms",
			}.atMost(liveP50),
			row{What: what + ": p95", Ours: "p99 " + msText(quantile(lags, 0.99)), Value: ms(quantile(lags, 0.95)), Unit: "ms"}.atMost(liveP95))
	}
	return rows, nil
}

// live returns how long lines took, sorted, and what the control plane used meanwhile.
func (l *lab) live(ctx context.Context, sessions int, every time.Duration) (lags []time.Duration, use watched, load float64, err error) {
	p, err := l.plane(ctx)
	if err != nil {
		return nil, use, 0, err
	}
	defer p.close()
	ctx, cancel := context.WithCancel(ctx)
	r := &rig{plane: p}
	defer r.all.Wait()
	defer cancel()
	for i := 0; i < sessions; i += livePerDaemon {
		if err := r.daemon(ctx, min(livePerDaemon, sessions-i), every); err != nil {
			return nil, use, 0, err
		}
	}
	if err := p.addTasks(ctx, sessions); err != nil {
		return nil, use, 0, err
	}
	if err := r.read(ctx, sessions); err != nil {
		return nil, use, 0, err
	}
	wait(ctx, 2*time.Second) // until the daemons know that somebody watches
	r.lags.take()
	own := processorTime()
	use, err = p.during(ctx, liveTime)
	return r.lags.take(), use, (processorTime() - own).Seconds() / liveTime.Seconds(), err
}

// rig is daemons in this process, with their sessions and readers.
type rig struct {
	plane *plane
	lags  delays
	all   sync.WaitGroup
}

// daemon starts one with room for n sessions, which runs until ctx ends.
func (r *rig) daemon(ctx context.Context, n int, every time.Duration) error {
	t, err := r.plane.owner.AddToken(ctx, api.Devices, api.NewToken{Name: "bench"})
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(r.plane.dir, "daemon-")
	if err != nil {
		return err
	}
	store, err := runner.OpenStore(dir)
	if err != nil {
		return err
	}
	log := logrus.New()
	log.SetOutput(io.Discard) // in the end the sessions lose their directories
	agent := func(end context.Context, in sandboxtest.Inside) int { return clock(ctx, end, in, every) }
	run := &runner.Runner{
		Store: store, Log: log, Home: dir,
		Engine: &sandboxtest.Fake{Programs: map[string]sandboxtest.Program{"/opt/ratchetai/claude/claude": agent}},
		Getenv: func(k string) string {
			return map[string]string{"ANTHROPIC_API_KEY": "sk-ant-api03-0123456789abcdefghijklmnopqrstuvwxyz"}[k]
		},
	}
	e := errand{URL: r.plane.url, Token: t.Secret, Dir: dir, Image: "image", User: "1000:1000", Capacity: n}
	d, closing, err := newDaemon(e, run, func(string) {})
	if err != nil {
		return err
	}
	r.all.Go(func() {
		defer closing()
		if err := d.Run(ctx); err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "bench: daemon:", err)
		}
	})
	return nil
}

// clock is an agent that is asked once and then says what time it is, again and again.
func clock(ctx, end context.Context, in sandboxtest.Inside, every time.Duration) int {
	stdin := bufio.NewReader(in.Stdin)
	for asked := false; !asked; {
		line, err := stdin.ReadBytes('\n')
		if err != nil {
			return 0
		}
		var m struct {
			Type, UUID string
			ID         string `json:"request_id"`
		}
		if json.Unmarshal(line, &m) != nil {
			continue
		}
		if asked = m.Type == "user"; asked {
			fmt.Fprintf(in.Stdout, `{"type":"user","message":{"role":"user","content":"go"},"uuid":%q,"isReplay":true}`+"\n", m.UUID)
		} else {
			fmt.Fprintf(in.Stdout, `{"type":"control_response","response":{"subtype":"success","request_id":%q}}`+"\n", m.ID)
		}
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_, _ = io.WriteString(in.Stdout, timeLine())
		case <-end.Done():
			return 0
		case <-ctx.Done():
			return 0
		}
	}
}

// timeLine is a piece of a message with the time, of 200 bytes as Claude Code's are. It
// ends with what can be no part of a secret, which would be withheld until the next.
func timeLine() string {
	return fmt.Sprintf(`{"type":"stream_event","event":{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"%d is the time; "}},`+
		`"session_id":"aa75db7b-2859-402a-b5ff-09cec6cd2c2b","uuid":"0b8f6ed7-8d5a-4a53-a25c-3a7f1f3a9a01"}`+"\n", time.Now().UnixNano())
}

// read follows sessions, each with a reader of its own, as soon as there are n.
func (r *rig) read(ctx context.Context, n int) error {
	late := time.After(60 * time.Second)
	for {
		var s api.Sessions
		if err := r.plane.owner.Do(ctx, http.MethodGet, fmt.Sprintf("/api/v1/sessions?state=%s&limit=%d", task.Active, n), nil, &s); err != nil {
			return err
		}
		if len(s.Sessions) == n {
			for _, one := range s.Sessions {
				r.all.Go(func() { r.follow(ctx, one.ID) })
			}
			return nil
		}
		select {
		case <-late:
			return fmt.Errorf("%d of %d sessions run", len(s.Sessions), n)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (r *rig) follow(ctx context.Context, session string) {
	for e, err := range r.plane.owner.Events(ctx, session, api.Follow{}) {
		now := time.Now()
		if err != nil {
			if !errors.Is(err, api.ErrNoEnd) {
				fmt.Fprintln(os.Stderr, "bench: reader:", err)
			}
			return
		}
		var d event.MessageDelta
		if e.Type != string(event.TypeMessageDelta) || json.Unmarshal(e.Data, &d) != nil {
			continue
		}
		text, _, _ := strings.Cut(d.Text, " ")
		if nanos, err := strconv.ParseInt(text, 10, 64); err == nil {
			r.lags.add(now.Sub(time.Unix(0, nanos)))
		}
	}
}

package connect

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// plane is a control plane of one runner, in memory, with real HTTP before it.
type plane struct {
	t      *testing.T
	server *httptest.Server
	// fault is asked before every answer: true means that this function has dealt with it.
	fault func(w http.ResponseWriter, r *http.Request, serve func(http.ResponseWriter)) bool

	mu       sync.Mutex
	changed  chan struct{} // closed at every change
	sessions map[string]*held
	last     api.Sync
	syncs    int
	tokens   int64
	revoked  bool
}

// held is one session as the control plane has it.
type held struct {
	lease     api.Lease
	state     task.SessionState
	reason    string
	events    []api.Event
	commands  []api.Command
	acked     int64
	stop      *api.Stop
	artifacts map[string][]byte
	fenced    bool
	moves     []task.SessionState
}

func newPlane(t *testing.T) *plane {
	p := &plane{t: t, changed: make(chan struct{}), sessions: map[string]*held{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/runner/sync", p.sync)
	mux.HandleFunc("POST /api/v1/runner/sessions/{id}/events", p.append)
	mux.HandleFunc("/api/v1/runner/sessions/{id}/artifacts/{name}", p.artifact)
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(api.HeaderProtocol, "1")
		serve := func(w http.ResponseWriter) { mux.ServeHTTP(w, r) }
		if p.fault == nil || !p.fault(w, r, serve) {
			serve(w)
		}
	}))
	t.Cleanup(p.server.Close)
	return p
}

func (p *plane) change() { close(p.changed); p.changed = make(chan struct{}) }

// offer makes a task and offers it.
func (p *plane) offer(spec task.Spec) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	id, _ := uuid.NewV7()
	p.tokens++
	if spec.Prompt == "" {
		spec.Prompt = "say hello"
	}
	p.sessions[id.String()] = &held{
		lease: api.Lease{Session: id.String(), Token: p.tokens, Attempt: 1, Task: task.Task{ID: uuid.NewString(), Spec: spec}},
		state: task.Offered, artifacts: map[string][]byte{},
	}
	p.change()
	return id.String()
}

func (p *plane) command(id string, c api.Command) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.sessions[id]
	c.Session, c.Seq, c.CreatedBy = id, int64(len(h.commands)+1), "owner"
	if c.ID == "" {
		c.ID = uuid.NewString()
	}
	h.commands = append(h.commands, c)
	p.change()
}

// set changes something under the lock.
func (p *plane) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	p.change()
}

// until waits for something that is checked under the lock.
func (p *plane) until(what string, ok func() bool) {
	p.t.Helper()
	late := time.After(60 * time.Second)
	for {
		p.mu.Lock()
		done, changed := ok(), p.changed
		p.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-time.After(20 * time.Millisecond): // it may be about the daemon
		case <-late:
			p.mu.Lock()
			defer p.mu.Unlock()
			for id, h := range p.sessions {
				p.t.Logf("session %s: %s %q, %d events, moves %v", id, h.state, h.reason, len(h.events), h.moves)
			}
			p.t.Fatalf("waited for too long: %s", what)
		}
	}
}

func (p *plane) untilState(id string, s task.SessionState) {
	p.t.Helper()
	p.until(fmt.Sprintf("%s is %s", id, s), func() bool { return p.sessions[id].state == s })
}

// end returns the session's last event.
func (p *plane) end(id string) event.SessionFinished {
	p.t.Helper()
	p.untilState(id, task.Ended)
	p.mu.Lock()
	defer p.mu.Unlock()
	var end event.SessionFinished
	h := p.sessions[id]
	if err := json.Unmarshal(h.events[len(h.events)-1].Data, &end); err != nil {
		p.t.Fatal(err)
	}
	return end
}

func refuseWith(w http.ResponseWriter, status int, code api.Code, acked *uint64) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(api.ErrorBody{Error: api.Error{Code: code, Message: string(code)}, Acked: acked})
}

func (p *plane) sync(w http.ResponseWriter, r *http.Request) {
	var s api.Sync
	if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
		refuseWith(w, 400, api.CodeInvalid, nil)
		return
	}
	late := time.After(time.Duration(s.WaitMS) * time.Millisecond)
	for first := true; ; first = false {
		p.mu.Lock()
		if p.revoked {
			p.mu.Unlock()
			refuseWith(w, 401, api.CodeUnauthorized, nil)
			return
		}
		if first {
			p.takeIn(s)
		}
		a, some := p.answer(s)
		changed := p.changed
		p.mu.Unlock()
		if some || s.WaitMS == 0 {
			_ = json.NewEncoder(w).Encode(a)
			return
		}
		select {
		case <-changed:
		case <-late:
			_ = json.NewEncoder(w).Encode(a)
			return
		case <-r.Context().Done():
			return
		}
	}
}

func (p *plane) takeIn(s api.Sync) {
	if s.Instance == p.last.Instance && s.Seq < p.last.Seq {
		return
	}
	p.last = s
	p.syncs++
	for _, r := range s.Sessions {
		h := p.sessions[r.ID]
		if h == nil || r.Token != h.lease.Token {
			continue
		}
		h.acked = r.Acked
		if r.State == task.Ended || r.State == h.state || h.state == task.Ended {
			continue // the last event ends it
		}
		if err := h.state.Check(r.State); err != nil {
			p.t.Errorf("%s: %v", r.ID, err)
			continue
		}
		h.state, h.reason = r.State, r.Reason
		h.moves = append(h.moves, r.State)
	}
	p.change()
}

func (p *plane) answer(s api.Sync) (a api.SyncAnswer, some bool) {
	reported := map[string]bool{}
	for _, r := range s.Sessions {
		reported[r.ID] = true
		h := p.sessions[r.ID]
		if h == nil {
			a.Stop = append(a.Stop, api.Stop{Session: r.ID, Outcome: event.Errored, Reason: "unknown", Fenced: true})
			continue
		}
		switch {
		case h.fenced:
			a.Stop = append(a.Stop, api.Stop{Session: r.ID, Outcome: event.Errored, Reason: "lost", Fenced: true})
		case !h.state.Open():
			a.Done = append(a.Done, r.ID)
		default:
			a.Renewed = append(a.Renewed, api.Renewal{Session: r.ID, ExpiresInMS: 60000, UploadMS: 10})
			if h.stop != nil {
				a.Stop = append(a.Stop, *h.stop)
			}
			for _, c := range h.commands {
				if c.Seq > r.Acked {
					a.Commands = append(a.Commands, c)
				}
			}
		}
	}
	for id, h := range p.sessions {
		if h.state == task.Offered && !reported[id] {
			a.Leases = append(a.Leases, h.lease)
		}
	}
	return a, len(a.Leases)+len(a.Stop)+len(a.Commands)+len(a.Done) > 0
}

func (p *plane) append(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.sessions[r.PathValue("id")]
	switch {
	case p.revoked:
		refuseWith(w, 401, api.CodeUnauthorized, nil)
		return
	case h == nil:
		refuseWith(w, 404, api.CodeNotFound, nil)
		return
	case h.fenced || r.Header.Get(api.HeaderLease) != strconv.FormatInt(h.lease.Token, 10):
		refuseWith(w, 410, api.CodeFenced, nil)
		return
	}
	in := bufio.NewReaderSize(r.Body, 1<<20)
	first := true
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			break
		}
		var e api.Event
		if err != nil || json.Unmarshal(line, &e) != nil {
			refuseWith(w, 400, api.CodeInvalid, nil)
			return
		}
		if first && strconv.FormatUint(e.Seq, 10) != r.Header.Get(api.HeaderFirst) {
			p.t.Errorf("First-Seq is %s, the first event %d", r.Header.Get(api.HeaderFirst), e.Seq)
		}
		first = false
		have := uint64(len(h.events))
		if e.Seq > have+1 {
			refuseWith(w, 409, api.CodeGap, &have)
			p.change()
			return
		}
		if e.Seq <= have {
			continue
		}
		if e.RawRef != nil && int64(len(h.artifacts[e.RawRef.Artifact])) != e.RawRef.Bytes {
			p.t.Errorf("event %d names an artifact that is not there", e.Seq)
		}
		h.events = append(h.events, e)
		if e.Type == string(event.TypeSessionFinished) {
			h.state = task.Ended
			h.moves = append(h.moves, task.Ended)
		}
	}
	p.change()
	_ = json.NewEncoder(w).Encode(api.Acked{Acked: uint64(len(h.events)), UploadMS: 10})
}

func (p *plane) artifact(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.sessions[r.PathValue("id")]
	name := r.PathValue("name")
	have, ok := h.artifacts[name]
	if r.Method == http.MethodGet && !ok {
		refuseWith(w, 404, api.CodeNotFound, nil)
		return
	}
	if r.Method == http.MethodPut {
		var from, to, size int64
		if _, err := fmt.Sscanf(r.Header.Get("Content-Range"), "bytes %d-%d/%d", &from, &to, &size); err != nil || from > int64(len(have)) || r.ContentLength != to-from+1 {
			refuseWith(w, 409, api.CodeConflict, nil)
			return
		}
		data, _ := io.ReadAll(r.Body)
		have = append(have[:from:from], data...)
		h.artifacts[name] = have
	}
	_ = json.NewEncoder(w).Encode(api.Artifact{Name: name, Size: int64(len(have)), Received: int64(len(have)), Complete: true, SHA256: hexSum(have)})
}

// types are those of the session's events; p.mu is held.
func (p *plane) types(id string) string {
	var all []string
	for _, e := range p.sessions[id].events {
		all = append(all, e.Type)
	}
	return strings.Join(all, " ")
}

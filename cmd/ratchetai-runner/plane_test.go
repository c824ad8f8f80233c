package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// planeToken is the token that a plane accepts.
const planeToken = "rp_secretsecret"

// plane is a control plane that says what a script wants: the JSON below for what is
// listed, and events for the sessions. It remembers what it was asked to change.
type plane struct {
	*httptest.Server
	mu       sync.Mutex
	Tasks    []api.TaskDetail
	Inbox    []api.InboxItem
	Runners  []api.Runner
	Devices  []api.Token
	Personal []api.Token
	Audit    []api.AuditEntry
	Add      task.Task              // what becomes of a task that is added
	Events   map[string][]api.Event // by session
	Lost     map[string]string      // sessions that are lost when they were read -> the next one
	changes  []string
	asked    []string // every request's method and path
	cut      bool     // the first stream is cut in the middle
}

func newPlane() *plane {
	p := &plane{}
	p.Server = httptest.NewServer(p)
	return p
}

// load reads the state from JSON in which "@-5m" is the time five minutes ago.
func (p *plane) load(data []byte) error {
	data = regexp.MustCompile(`"@([^"]+)"`).ReplaceAllFunc(data, func(m []byte) []byte {
		d, err := time.ParseDuration(string(m[2 : len(m)-1]))
		if err != nil {
			return m
		}
		return []byte(`"` + time.Now().Add(d).UTC().Format(time.RFC3339Nano) + `"`)
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Tasks, p.Inbox, p.Runners, p.Events, p.Lost, p.Add, p.changes = nil, nil, nil, nil, nil, task.Task{}, nil
	if err := json.Unmarshal(data, p); err != nil {
		return err
	}
	for id, all := range p.Events {
		for i := range all {
			all[i].V, all[i].Session, all[i].Seq, all[i].Time = 1, id, uint64(i+1), time.Now().UTC()
		}
	}
	return nil
}

func (p *plane) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.Header().Set(api.HeaderProtocol, "1")
	if r.Header.Get("Authorization") != "Bearer "+planeToken {
		refuse(w, http.StatusUnauthorized, api.CodeUnauthorized, "the token is not valid")
		return
	}
	body, _ := io.ReadAll(r.Body)
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/v1/"), "/")
	p.asked = append(p.asked, r.Method+" "+r.URL.Path)
	if r.Method != http.MethodGet {
		p.changes = append(p.changes, strings.TrimSpace(r.Method+" "+strings.Join(parts, "/")+" "+string(body)))
	}
	switch {
	case parts[0] == "tasks":
		p.serveTasks(w, r, parts[1:], body)
	case parts[0] == "sessions" && len(parts) > 1:
		p.serveSession(w, r, parts[1:], body)
	case r.Method == http.MethodPost && (parts[0] == "devices" || parts[0] == "tokens"):
		t := api.CreatedToken{Secret: "rt_new"}
		_ = json.Unmarshal(body, &t)
		answer(w, t)
	case r.Method != http.MethodGet:
		w.WriteHeader(http.StatusNoContent)
	default:
		answer(w, map[string]any{
			"inbox": api.Inbox{Items: p.Inbox}, "runners": api.Runners{Runners: p.Runners}, "audit": api.Audit{Entries: p.Audit},
			"devices": api.Tokens{Tokens: p.Devices}, "tokens": api.Tokens{Tokens: p.Personal},
		}[parts[0]])
	}
}

func answer(w io.Writer, v any) { _ = json.NewEncoder(w).Encode(v) }

func refuse(w http.ResponseWriter, status int, code api.Code, message string) {
	w.WriteHeader(status)
	answer(w, api.ErrorBody{Error: api.Error{Code: code, Message: message}})
}

func (p *plane) serveTasks(w http.ResponseWriter, r *http.Request, parts []string, body []byte) {
	switch {
	case len(parts) == 0 && r.Method == http.MethodPost:
		t := api.TaskDetail{Task: p.Add}
		_ = json.Unmarshal(body, &t.Spec)
		t.CreatedAt, t.CreatedBy = time.Now(), "alice"
		p.Tasks = append([]api.TaskDetail{t}, p.Tasks...)
		answer(w, t.Task)
		return
	case len(parts) == 0:
		var page api.Tasks
		for _, t := range p.Tasks {
			if s := r.URL.Query().Get("state"); s == "" || s == string(t.State) {
				page.Tasks = append(page.Tasks, t.Task)
			}
		}
		answer(w, page)
		return
	}
	for i, t := range p.Tasks {
		if !strings.HasPrefix(t.ID, parts[0]) && !strings.HasSuffix(t.ID, parts[0]) {
			continue
		}
		if len(parts) > 1 {
			t.State, t.Outcome, t.Reason = task.Queued, "", ""
			if parts[1] == "cancel" {
				t.State, t.Outcome, t.Reason = task.Finished, event.Cancelled, "cancelled by alice"
			}
			p.Tasks[i] = t
		}
		answer(w, t)
		return
	}
	refuse(w, http.StatusNotFound, api.CodeNotFound, "no task "+strconv.Quote(parts[0]))
}

func (p *plane) serveSession(w http.ResponseWriter, r *http.Request, parts []string, body []byte) {
	for id, all := range p.Events {
		if !strings.HasSuffix(id, parts[0]) {
			continue
		}
		switch {
		case len(parts) == 1:
			s := task.Session{ID: id, RunnerName: "nas", State: task.Active, LastSeq: uint64(len(all))}
			if n := len(all); n > 0 && all[n-1].Type == string(event.TypeSessionFinished) {
				s.State = task.Ended
			}
			if p.Lost[id] != "" {
				s.State = task.Gone
			}
			answer(w, s)
		case parts[1] == "commands":
			var c api.Command
			_ = json.Unmarshal(body, &c)
			c.Session, c.Seq = id, 1
			answer(w, c)
		default:
			p.serveEvents(w, r, all)
		}
		return
	}
	refuse(w, http.StatusNotFound, api.CodeNotFound, "no session "+strconv.Quote(parts[0]))
}

func (p *plane) serveEvents(w http.ResponseWriter, r *http.Request, all []api.Event) {
	after, _ := strconv.Atoi(r.Header.Get("Last-Event-ID"))
	w.Header().Set("Content-Type", "text/event-stream")
	for _, e := range all[after:] {
		data, _ := json.Marshal(e)
		fmt.Fprintf(w, "id: %d\ndata: %s\n\n", e.Seq, data)
		if p.cut && e.Seq == 4 {
			p.cut = false
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	}
	for i, t := range p.Tasks {
		if next := p.Lost[t.Session]; next != "" {
			p.Tasks[i].Session = next
		}
	}
}

// planeCmd is what scripts do with a plane:
//
//	plane load FILE    what it says, and which sessions it has
//	plane cut          the next stream of events is cut
//	plane changed TEXT it was asked to change that, a regular expression
//	plane await TEXT   waits for a request, a regular expression
func planeCmd(p func(*testscript.TestScript) *plane) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if len(args) == 0 {
			ts.Fatalf("usage: plane load|cut|changed|await")
		}
		p := p(ts)
		switch args[0] {
		case "load":
			data, err := os.ReadFile(ts.MkAbs(args[1]))
			ts.Check(err)
			ts.Check(p.load(data))
		case "cut":
			p.mu.Lock()
			p.cut = true
			p.mu.Unlock()
		case "await":
			for end := time.Now().Add(awaitMax); ; time.Sleep(10 * time.Millisecond) {
				p.mu.Lock()
				all := strings.Join(p.asked, "\n")
				p.mu.Unlock()
				if regexp.MustCompile(args[1]).MatchString(all) {
					return
				}
				if time.Now().After(end) {
					ts.Fatalf("it was asked:\n%s", all)
				}
			}
		case "changed":
			p.mu.Lock()
			all := strings.Join(p.changes, "\n")
			p.mu.Unlock()
			if regexp.MustCompile("(?m)"+args[1]).MatchString(all) == neg {
				ts.Fatalf("it was asked to change:\n%s", all)
			}
		}
	}
}

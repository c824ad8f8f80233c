package server

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

func TestTasks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var one, again task.Task
	b.do(201, "POST", "/api/v1/tasks", b.person, task.Spec{Prompt: "do it"}, &one, "Idempotency-Key", "k")
	b.do(200, "POST", "/api/v1/tasks", b.person, task.Spec{Prompt: "do it"}, &again, "Idempotency-Key", "k")
	if one.ID == "" || one.ID != again.ID || one.CreatedBy != "alice" || one.Why == "" {
		t.Errorf("%+v, then %+v", one, again)
	}
	var all api.Tasks
	b.do(200, "GET", "/api/v1/tasks?state=queued&limit=10", b.person, nil, &all)
	if len(all.Tasks) != 1 || all.Tasks[0].Why == "" {
		t.Errorf("%+v", all)
	}
	b.do(201, "POST", "/api/v1/tasks", b.person, `{"prompt":"x","a_newer_version":{"says":"more"}}`, nil)
	path := "/api/v1/tasks/" + one.ID
	var detail api.TaskDetail
	b.do(200, "GET", path, b.person, nil, &detail)
	b.refused(api.CodeConflict, "POST", path+"/retry", b.person, nil)
	b.do(200, "POST", path+"/cancel", b.person, nil, &one)
	b.refused(api.CodeConflict, "POST", path+"/cancel", b.person, nil)
	if one.Outcome != "cancelled" || detail.ID != one.ID {
		t.Errorf("%+v, %+v", one, detail)
	}
	b.do(200, "POST", path+"/retry", b.person, nil, &one)
	if one.State != task.Queued {
		t.Errorf("%+v", one)
	}
}

func TestBadTasks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, body := range []string{`{"prompt":""}`, `{"prompt":7}`, `{`, ``, `[]`, `{"prompt":"x","agent":"gpt"}`, `{"prompt":"x","priority":99999}`} {
		b.refused(api.CodeInvalid, "POST", "/api/v1/tasks", b.person, body)
	}
	b.refused(api.CodeInvalid, "POST", "/api/v1/tasks", b.person, task.Spec{Prompt: "x"}, "Idempotency-Key", strings.Repeat("k", 201))
	b.refused(api.CodeTooLarge, "POST", "/api/v1/tasks", b.person, `{"prompt":"`+strings.Repeat("a", bodyMax)+`"}`)
	b.refused(api.CodeNotFound, "GET", "/api/v1/tasks/nope", b.person, nil)
	b.refused(api.CodeNotFound, "GET", "/api/v1/nothing", b.person, nil)
	b.refused(api.CodeNotFound, "PUT", "/api/v1/tasks", b.person, nil)
	b.refused(api.CodeInvalid, "GET", "/api/v1/tasks?state=lost", b.person, nil)
	b.refused(api.CodeInvalid, "GET", "/api/v1/tasks?limit=1001", b.person, nil)
}

func TestSessions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.session()
	var all api.Sessions
	b.do(200, "GET", "/api/v1/sessions?state=running", b.person, nil, &all)
	var one task.Session
	b.do(200, "GET", "/api/v1/sessions/"+s.id[len(s.id)-12:], b.person, nil, &one)
	if len(all.Sessions) != 1 || all.Sessions[0].ID != s.id || one.ID != s.id || one.RunnerName != "nas" {
		t.Errorf("%+v, %+v", all, one)
	}
	b.refused(api.CodeNotFound, "GET", "/api/v1/sessions/nope", b.person, nil)
	for _, path := range []string{"sessions?state=busy", "sessions?state=running&task=" + one.Task, "sessions?before=x", "audit?before=x"} {
		b.refused(api.CodeInvalid, "GET", "/api/v1/"+path, b.person, nil)
	}
}

func TestInboxRunnersAuditMetrics(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.session()
	b.upload(s, 1, anEvent(s.id, 1, "session.finished", `{"outcome":"failed","reason":"no idea","duration_ms":1}`))
	var in api.Inbox
	b.do(200, "GET", "/api/v1/inbox", b.person, nil, &in)
	if len(in.Items) != 2 || in.Items[0].Kind != api.InboxOutcome || in.Items[1].Kind != api.InboxWaiting {
		t.Fatalf("%+v", in)
	}
	b.do(204, "POST", "/api/v1/inbox/"+in.Items[0].ID+"/dismiss", b.person, nil, nil)
	b.refused(api.CodeNotFound, "POST", "/api/v1/inbox/nope/dismiss", b.person, nil)
	var runners api.Runners
	b.do(200, "GET", "/api/v1/runners", b.person, nil, &runners)
	if len(runners.Runners) != 1 || runners.Runners[0].ID != "r1" {
		t.Errorf("%+v", runners)
	}
	b.do(204, "DELETE", "/api/v1/runners/r1", b.person, nil, nil)
	b.refused(api.CodeNotFound, "DELETE", "/api/v1/runners/r1", b.person, nil)
	var log api.Audit
	b.do(200, "GET", "/api/v1/audit", b.person, nil, &log)
	if len(log.Entries) != 2 || log.Entries[1].Action != "inbox.dismiss" || log.Entries[1].Actor != "alice" || log.Entries[1].From != "127.0.0.1" {
		t.Errorf("%+v", log)
	}
	resp := b.request("GET", "/metrics", b.person, nil)
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	for _, want := range []string{"ratchetai_events_stored_total 1\n", "ratchetai_ingest_batches_total 1\n", `ratchetai_sessions{state="running"} 0`,
		`ratchetai_tasks_finished_total{outcome="lost"} 0`, "ratchetai_queue_wait_seconds_count 0", "ratchetai_runners_connected 0", "ratchetai_database_bytes ", "ratchetai_disk_free_bytes ", "ratchetai_ingest_refused_total 0", "ratchetai_inbox_items 1"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	b.do(200, "GET", "/healthz", "", nil, nil)
	b.do(200, "GET", "/readyz", "", nil, nil)
}

func TestNotReady(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.do(200, "GET", "/readyz", "", nil, nil)
	b.s.Stop()
	b.refused(api.CodeUnavailable, "GET", "/readyz", "", nil)
	full := setup(t, func(c *Config) { c.Store = fullStore{c.Store} })
	if e := full.refused(api.CodeUnavailable, "GET", "/readyz", "", nil); !strings.Contains(e.Error.Message, "no space") {
		t.Errorf("%+v", e)
	}
	s := full.session()
	full.refused(api.CodeUnavailable, "POST", "/api/v1/runner/sessions/"+s.id+"/events", full.device, batch(s.id, 1, 1),
		"Content-Type", "application/x-ndjson", api.HeaderLease, s.token, api.HeaderFirst, "1")
}

// fullStore is on a full disk.
type fullStore struct{ Store }

func (fullStore) Check(context.Context) error { return store.ErrFull }

func (fullStore) Append(context.Context, store.Batch) (store.Appended, error) {
	return store.Appended{}, store.ErrFull
}

func TestTokensAreForOneUse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.refused(api.CodeUnauthorized, "GET", "/api/v1/tasks", "", nil)
	b.refused(api.CodeUnauthorized, "GET", "/api/v1/tasks", "rp_wrong", nil)
	b.refused(api.CodeForbidden, "GET", "/api/v1/tasks", b.device, nil)
	b.refused(api.CodeForbidden, "POST", "/api/v1/runner/sync", b.person, "{}")
	b.refused(api.CodeUnauthorized, "GET", "/api/v1/tasks", "", nil, "Cookie", cookieName+"="+b.person)
	var me api.Me
	b.do(200, "GET", "/api/v1/me", b.device, nil, &me)
	if me != (api.Me{Name: "nas", Kind: "device", Version: "test"}) {
		t.Errorf("%+v", me)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, kind := range []string{"devices", "tokens"} {
		var made api.CreatedToken
		var all api.Tokens
		b.do(201, "POST", "/api/v1/"+kind, b.person, api.NewToken{Name: "new"}, &made)
		b.do(200, "GET", "/api/v1/me", made.Secret, nil, nil)
		b.do(200, "GET", "/api/v1/"+kind, b.person, nil, &all)
		if len(all.Tokens) != 2 || all.Tokens[0].ID != made.ID || made.Secret == "" {
			t.Errorf("%s: %+v", kind, all)
		}
		b.do(200, "DELETE", "/api/v1/"+kind+"/new", b.person, nil, nil)
		b.refused(api.CodeUnauthorized, "GET", "/api/v1/me", made.Secret, nil)
		b.refused(api.CodeInvalid, "POST", "/api/v1/"+kind, b.person, api.NewToken{Name: " "})
		past := time.Now().Add(-time.Hour)
		b.refused(api.CodeInvalid, "POST", "/api/v1/"+kind, b.person, api.NewToken{Name: "x", ExpiresAt: &past})
	}
	b.refused(api.CodeInvalid, "POST", "/api/v1/tokens", b.person, api.NewToken{Name: "x", Labels: []string{"gpu"}})
	b.refused(api.CodeNotFound, "DELETE", "/api/v1/devices/script", b.person, nil)
}

func TestExpiredToken(t *testing.T) {
	t.Parallel()
	now := time.Now()
	b := setup(t, func(c *Config) { c.Now = func() time.Time { return now } })
	soon := now.Add(time.Minute)
	var made api.CreatedToken
	b.do(201, "POST", "/api/v1/tokens", b.person, api.NewToken{Name: "new", ExpiresAt: &soon}, &made)
	b.do(200, "GET", "/api/v1/me", made.Secret, nil, nil)
	now = now.Add(2 * time.Minute)
	b.refused(api.CodeUnauthorized, "GET", "/api/v1/me", made.Secret, nil)
}

func TestSync(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.dispatch.answers <- api.SyncAnswer{Stop: []api.Stop{{Session: "s", Outcome: "cancelled", Reason: "alice"}}, Done: []string{"d"}}
	var a api.SyncAnswer
	b.do(200, "POST", "/api/v1/runner/sync", b.device, report, &a)
	if r := <-b.dispatch.synced; len(a.Stop) != 1 || r.Runner != "r1" {
		t.Errorf("%+v of %+v", a, r)
	}
	for _, body := range []string{`{}`, `[`, `{"runner":7,"protocol":1}`, `{"runner":"r1","instance":"i","name":"n","protocol":0}`,
		`{"runner":"r1","instance":"i","name":"a\u0000b","protocol":1}`} {
		b.refused(api.CodeInvalid, "POST", "/api/v1/runner/sync", b.device, body)
	}
	b.refused(api.CodeTooLarge, "POST", "/api/v1/runner/sync", b.device, `{"runner":"`+strings.Repeat("r", api.SyncMax))
}

func TestFirstSyncIsRecorded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	made := b.issue(store.DeviceToken, "", "other")
	first := report
	first.Runner, first.WaitMS = "r2", 0
	for range 2 {
		b.do(200, "POST", "/api/v1/runner/sync", made.Secret, first, nil)
	}
	var log api.Audit
	b.do(200, "GET", "/api/v1/audit", b.person, nil, &log)
	if len(log.Entries) != 1 || log.Entries[0].Action != "runner.connect" || log.Entries[0].Actor != "device other" {
		t.Errorf("%+v", log)
	}
}

func TestAnnounce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a := api.Announce{Runner: "r1", Name: "nas", Session: newID(), Spec: task.Spec{Prompt: "do it"}}
	var one, again api.Lease
	b.do(200, "POST", "/api/v1/runner/sessions", b.device, a, &one)
	b.do(200, "POST", "/api/v1/runner/sessions", b.device, a, &again)
	if one.Session != a.Session || one.Token != again.Token || one.Token == 0 {
		t.Errorf("%+v, %+v", one, again)
	}
	a.Spec.Prompt = ""
	b.refused(api.CodeInvalid, "POST", "/api/v1/runner/sessions", b.device, a)
}

func TestRevokedTokenEndsHeldPoll(t *testing.T) {
	t.Parallel()
	b := setup(t)
	made := b.issue(store.DeviceToken, "", "other")
	other := report
	other.Runner = "r2"
	codes := make(chan int, 1)
	go func() {
		resp := b.request("POST", "/api/v1/runner/sync", made.Secret, other)
		resp.Body.Close()
		codes <- resp.StatusCode
	}()
	<-b.dispatch.synced
	b.do(200, "DELETE", "/api/v1/devices/"+made.ID, b.person, nil, nil)
	if code := <-codes; code != 401 {
		t.Errorf("the held poll answers %d", code)
	}
	b.refused(api.CodeUnauthorized, "POST", "/api/v1/runner/sync", made.Secret, other)
}

func TestStopEndsHeldPoll(t *testing.T) {
	t.Parallel()
	b := setup(t)
	done := make(chan *http.Response, 1)
	go func() { done <- b.request("POST", "/api/v1/runner/sync", b.device, report) }()
	<-b.dispatch.synced
	b.s.Stop()
	resp := <-done
	resp.Body.Close()
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "1" {
		t.Errorf("%d, Retry-After %q", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
}

func TestServeStops(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	l := listen(t)
	done := make(chan error, 1)
	go func() { done <- b.s.Serve(ctx, l, nil) }()
	b.url = "http://" + l.Addr().String()
	polled := make(chan int, 1)
	go func() {
		resp := b.request("POST", "/api/v1/runner/sync", b.device, report)
		resp.Body.Close()
		polled <- resp.StatusCode
	}()
	<-b.dispatch.synced
	began := time.Now()
	cancel()
	if code := <-polled; code != 503 {
		t.Errorf("the poll answers %d", code)
	}
	if err := <-done; err != nil || time.Since(began) > 5*time.Second {
		t.Errorf("stopped after %v: %v", time.Since(began), err)
	}
}

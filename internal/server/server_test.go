package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// bed is a server with a person and a device that may use it.
type bed struct {
	t        *testing.T
	s        *Server
	store    *fakeStore
	dispatch *fakeDispatcher
	url      string
	client   *http.Client
	person   string // secret
	device   string // secret
}

func setup(t *testing.T, change ...func(*Config)) *bed {
	t.Helper()
	log := logrus.New()
	log.SetOutput(t.Output())
	b := &bed{t: t, store: newFakeStore(), client: &http.Client{}}
	b.dispatch = &fakeDispatcher{store: b.store, answers: make(chan api.SyncAnswer, 1), synced: make(chan api.Sync, 100), watched: make(chan string, 100)}
	c := Config{Store: b.store, Dispatcher: b.dispatch, Log: log, Version: "test"}
	for _, f := range change {
		f(&c)
	}
	b.s = New(c)
	b.client.Transport = checked{t, b.s.public.Path, &http.Transport{MaxIdleConnsPerHost: 100}}
	h := httptest.NewServer(b.s.Handler())
	t.Cleanup(func() { b.s.Stop(); b.client.CloseIdleConnections(); h.Close() })
	b.url = h.URL
	b.person = b.issue(store.PersonalToken, "script")
	b.device = b.issue(store.DeviceToken, "nas")
	return b
}

func (b *bed) issue(kind store.TokenKind, name string) string {
	b.t.Helper()
	t, err := b.s.IssueToken(b.t.Context(), kind, map[bool]string{true: "alice"}[kind != store.DeviceToken], api.NewToken{Name: name})
	if err != nil {
		b.t.Fatal(err)
	}
	return t.Secret
}

// request sends a request; a body that is no string, reader or bytes is sent as JSON.
func (b *bed) request(method, path, token string, body any, header ...string) *http.Response {
	b.t.Helper()
	var in io.Reader
	switch v := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(v)
	case []byte:
		in = bytes.NewReader(v)
	case io.Reader:
		in = v
	default:
		data, err := json.Marshal(v)
		if err != nil {
			b.t.Fatal(err)
		}
		in = bytes.NewReader(data)
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, in)
	if err != nil {
		b.t.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := b.client.Do(r)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
	if resp.Header.Get(api.HeaderProtocol) != "1" {
		b.t.Errorf("%s %s: no %s", method, path, api.HeaderProtocol)
	}
	return resp
}

// do sends a request, wants a status, and decodes the answer into out.
func (b *bed) do(want int, method, path, token string, body, out any, header ...string) {
	b.t.Helper()
	resp := b.request(method, path, token, body, header...)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		b.t.Fatalf("%s %s: %d instead of %d: %v %s", method, path, resp.StatusCode, want, err, data)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(data, out); err != nil {
		b.t.Fatalf("%s %s: %v: %s", method, path, err, data)
	}
}

// refused wants an error with a code, and returns it.
func (b *bed) refused(code api.Code, method, path, token string, body any, header ...string) api.ErrorBody {
	b.t.Helper()
	var e api.ErrorBody
	b.do(status(code), method, path, token, body, &e, header...)
	if e.Error.Code != code || e.Error.Message == "" {
		b.t.Errorf("%s %s: %+v instead of %s", method, path, e, code)
	}
	return e
}

// session makes one that runs.
func (b *bed) session(id string) {
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	b.store.sessions[id] = &task.Session{ID: id, State: task.Active}
}

// batch is events first to last of a session as NDJSON; finish adds the session's end.
func batch(session string, first, last uint64, finish bool) string {
	var b strings.Builder
	for n := first; n <= last; n++ {
		e := api.Event{V: 1, Session: session, Seq: n, Time: time.Now(), Type: "message", Data: json.RawMessage(`{"role":"assistant","text":"hello"}`), Raw: json.RawMessage(`{"a":1}`)}
		if finish && n == last {
			e.Type, e.Data = "session.finished", json.RawMessage(`{"outcome":"succeeded","duration_ms":1}`)
		}
		data, _ := json.Marshal(e)
		b.Write(append(data, '\n'))
	}
	return b.String()
}

func (b *bed) upload(session string, first, last uint64, finish bool) api.Acked {
	b.t.Helper()
	var a api.Acked
	b.do(http.StatusAccepted, "POST", "/api/v1/runner/sessions/"+session+"/events", b.device, batch(session, first, last, finish), &a,
		"Content-Type", "application/x-ndjson", api.HeaderLease, "1", api.HeaderFirst, json.Number(uintText(first)).String())
	return a
}

func uintText(n uint64) string { data, _ := json.Marshal(n); return string(data) }

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
	b.do(200, "GET", "/api/v1/tasks", b.person, nil, &all)
	if len(all.Tasks) != 1 {
		t.Errorf("%+v", all)
	}
	b.refused(api.CodeInvalid, "POST", "/api/v1/tasks", b.person, `{"prompt":""}`)
	b.refused(api.CodeInvalid, "POST", "/api/v1/tasks", b.person, `{"prompt":7}`)
	b.refused(api.CodeInvalid, "POST", "/api/v1/tasks", b.person, `{`)
	b.refused(api.CodeTooLarge, "POST", "/api/v1/tasks", b.person, `{"prompt":"`+strings.Repeat("a", bodyMax)+`"}`)
	b.refused(api.CodeNotFound, "GET", "/api/v1/tasks/nope", b.person, nil)
	b.do(201, "POST", "/api/v1/tasks", b.person, `{"prompt":"x","a_newer_version":{"says":"more"}}`, nil)
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

// report is a runner's that waits.
var report = api.Sync{Runner: "r1", Instance: "i1", Name: "nas", Protocol: 1, WaitMS: 30_000}

func TestRevokedTokenEndsHeldPoll(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var made api.CreatedToken
	b.do(201, "POST", "/api/v1/devices", b.person, api.NewToken{Name: "nas"}, &made)
	codes := make(chan int, 1)
	go func() {
		resp := b.request("POST", "/api/v1/runner/sync", made.Secret, report)
		resp.Body.Close()
		codes <- resp.StatusCode
	}()
	<-b.dispatch.synced
	b.do(200, "DELETE", "/api/v1/devices/"+made.ID, b.person, nil, nil)
	if code := <-codes; code != 401 {
		t.Errorf("the held poll answers %d", code)
	}
	b.refused(api.CodeUnauthorized, "POST", "/api/v1/runner/sync", made.Secret, report)
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

func TestIngest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.session("s1")
	if a := b.upload("s1", 1, 3, false); a != (api.Acked{Acked: 3, UploadMS: 10}) {
		t.Errorf("%+v", a)
	}
	if a := b.upload("s1", 2, 5, false); a.Acked != 5 {
		t.Errorf("%+v", a)
	}
	post := func(code api.Code, body string, lease, first string) api.ErrorBody {
		t.Helper()
		return b.refused(code, "POST", "/api/v1/runner/sessions/s1/events", b.device, body, api.HeaderLease, lease, api.HeaderFirst, first)
	}
	if e := post(api.CodeGap, batch("s1", 8, 9, false), "1", "8"); e.Acked == nil || *e.Acked != 5 {
		t.Errorf("%+v", e)
	}
	post(api.CodeFenced, batch("s1", 6, 6, false), "2", "6")
	post(api.CodeInvalid, batch("s1", 6, 6, false), "1", "7")
	post(api.CodeInvalid, batch("s1", 6, 6, false), "", "6")
	post(api.CodeInvalid, batch("s2", 6, 6, false), "1", "6")
	post(api.CodeInvalid, "", "1", "6")
	if e := post(api.CodeInvalid, batch("s1", 6, 6, false)+"nonsense\n", "1", "6"); !strings.Contains(e.Error.Message, "line 2") {
		t.Errorf("%+v", e)
	}
	if e := post(api.CodeInvalid, strings.Replace(batch("s1", 6, 6, false), "hello", "\xff", 1), "1", "6"); !strings.Contains(e.Error.Message, "UTF-8") {
		t.Errorf("%+v", e)
	}
	post(api.CodeTooLarge, strings.Repeat(batch("s1", 6, 6, false), api.BatchMax/100), "1", "6")
	if b.s.uploads.left != uploadsMax {
		t.Errorf("%d bytes were not given back", uploadsMax-b.s.uploads.left)
	}
}

// sse reads messages of a stream.
type sse struct {
	resp *http.Response
	r    *bufio.Scanner
}

func (b *bed) sse(path string, header ...string) *sse {
	b.t.Helper()
	resp := b.request("GET", path, b.person, nil, header...)
	b.t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		b.t.Fatalf("%s: %s %s", path, resp.Status, resp.Header.Get("Content-Type"))
	}
	return &sse{resp, bufio.NewScanner(resp.Body)}
}

// next returns the next message's id and event; ok is false at the stream's end.
func (s *sse) next() (id string, e api.Event, ok bool) {
	for s.r.Scan() {
		switch key, value, _ := strings.Cut(s.r.Text(), ": "); key {
		case "id":
			id = value
		case "data":
			_ = json.Unmarshal([]byte(value), &e)
		case "":
			if id != "" {
				return id, e, true
			}
		}
	}
	return "", e, false
}

func TestStreamIsHistoryThenLive(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.session("s1")
	b.upload("s1", 1, 3, false)
	s := b.sse("/api/v1/sessions/s1/events?after=1")
	if id, e, _ := s.next(); id != "2" || e.Seq != 2 || e.Raw != nil || e.Type != "message" {
		t.Errorf("%s %+v", id, e)
	}
	s.next()
	if <-b.dispatch.watched != "s1" {
		t.Error("the dispatcher does not know")
	}
	b.upload("s1", 4, 5, true)
	s.next()
	if id, e, _ := s.next(); id != "5" || e.Type != "session.finished" {
		t.Errorf("%s %+v", id, e)
	}
	if id, _, ok := s.next(); ok {
		t.Errorf("%s after the end", id)
	}
	resp := b.request("GET", "/api/v1/sessions/s1/events", b.person, nil, "Last-Event-ID", "5")
	resp.Body.Close()
	if resp.StatusCode != 204 {
		t.Errorf("a browser that comes back after the end gets %s", resp.Status)
	}
}

func TestStreamNDJSON(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.session("s1")
	b.upload("s1", 1, 3, false)
	resp := b.request("GET", "/api/v1/sessions/s1/events?raw=1", b.person, nil, "Accept", "application/x-ndjson")
	defer resp.Body.Close()
	data, _ := io.ReadAll(resp.Body)
	if lines := bytes.Count(data, []byte("\n")); lines != 3 || !bytes.Contains(data, []byte(`"raw":{"a":1}`)) {
		t.Errorf("%d lines: %s", lines, data)
	}
}

func TestStopEndsStream(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.session("s1")
	b.upload("s1", 1, 1, false)
	s := b.sse("/api/v1/sessions/s1/events")
	s.next()
	b.s.Stop()
	if !s.r.Scan() || s.r.Text() != "retry: 1000" {
		t.Errorf("%q", s.r.Text())
	}
	if _, _, ok := s.next(); ok {
		t.Error("the stream goes on")
	}
}

func TestRevokedTokenEndsStream(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.session("s1")
	b.upload("s1", 1, 1, false)
	s := b.sse("/api/v1/sessions/s1/events")
	s.next()
	b.do(204, "POST", "/api/v1/logout", b.person, nil, nil)
	if _, _, ok := s.next(); ok {
		t.Error("the stream goes on")
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

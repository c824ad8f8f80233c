package server

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/sirupsen/logrus"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// bed is a server over a real database, with a person and a device that may use it.
type bed struct {
	t        testing.TB
	s        *Server
	store    *store.Store
	dispatch *fakeDispatcher
	url      string
	client   *http.Client
	person   string // secret
	device   string // secret of runner r1
}

func setup(t testing.TB, change ...func(*Config)) *bed {
	t.Helper()
	log := logrus.New()
	log.SetOutput(t.Output())
	db, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{t: t, store: db, client: &http.Client{}, dispatch: newFakeDispatcher(db)}
	c := Config{Store: db, Dispatcher: b.dispatch, Metrics: NewMetrics(), Log: log, Version: "test"}
	for _, f := range change {
		f(&c)
	}
	b.s = New(c)
	b.client.Transport = checked{t, b.s.public.Path, &http.Transport{MaxIdleConnsPerHost: 100}}
	h := httptest.NewServer(b.s.Handler())
	t.Cleanup(func() {
		b.s.Stop()
		b.client.CloseIdleConnections()
		h.Close()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	b.url = h.URL
	b.person = b.issue(store.PersonalToken, "alice", "script").Secret
	device := b.issue(store.DeviceToken, "", "nas")
	if err := db.SaveRunner(t.Context(), api.Runner{ID: "r1", Name: "nas", Device: device.ID, SeenAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	b.device = device.Secret
	return b
}

func (b *bed) issue(kind store.TokenKind, user, name string) api.CreatedToken {
	b.t.Helper()
	t, err := b.s.IssueToken(b.t.Context(), kind, user, api.NewToken{Name: name})
	if err != nil {
		b.t.Fatal(err)
	}
	return t
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

// lease is a session that runner r1 works at.
type lease struct {
	id, token string
}

// session makes one that runs.
func (b *bed) session() lease {
	b.t.Helper()
	ctx := b.t.Context()
	t, _, err := b.store.AddTask(ctx, task.Spec{Prompt: "do it"}, "alice", "", time.Now())
	if err != nil {
		b.t.Fatal(err)
	}
	h, err := b.store.Offer(ctx, t.ID, "r1", "nas", time.Now())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.store.MoveSession(ctx, h.Session, h.Token, task.Active, "", time.Now()); err != nil {
		b.t.Fatal(err)
	}
	return lease{h.Session, fmt.Sprint(h.Token)}
}

// an event with this number; a type that ends in "finished" ends the session.
func anEvent(session string, n uint64, kind, data string) string {
	e := api.Event{V: 1, Session: session, Seq: n, Time: time.Now(), Type: kind, Data: json.RawMessage(data), Raw: json.RawMessage(`{"a":1}`)}
	line, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return string(line) + "\n"
}

// batch is messages, with numbers from first to last, as NDJSON.
func batch(session string, first, last uint64) string {
	var b strings.Builder
	for n := first; n <= last; n++ {
		b.WriteString(anEvent(session, n, "message", `{"role":"assistant","text":"hello"}`))
	}
	return b.String()
}

// finish is the last event of a session.
func finish(session string, n uint64) string {
	return anEvent(session, n, "session.finished", `{"outcome":"succeeded","duration_ms":1}`)
}

func (b *bed) upload(s lease, first uint64, body string) api.Acked {
	b.t.Helper()
	var a api.Acked
	b.do(http.StatusAccepted, "POST", "/api/v1/runner/sessions/"+s.id+"/events", b.device, body, &a,
		"Content-Type", "application/x-ndjson", api.HeaderLease, s.token, api.HeaderFirst, fmt.Sprint(first))
	return a
}

// report is a runner's that waits.
var report = api.Sync{Runner: "r1", Instance: "i1", Name: "nas", Protocol: 1, WaitMS: 30_000}

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

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

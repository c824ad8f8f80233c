package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

func TestStreamIsHistoryThenLive(t *testing.T) {
	t.Parallel()
	b := setup(t)
	l := b.session()
	b.upload(l, 1, batch(l.id, 1, 3))
	s := b.sse("/api/v1/sessions/" + l.id + "/events?after=1")
	if id, e, _ := s.next(); id != "2" || e.Seq != 2 || e.Raw != nil || e.Type != "message" {
		t.Errorf("%s %+v", id, e)
	}
	s.next()
	if <-b.dispatch.watched != l.id {
		t.Error("the dispatcher does not know")
	}
	b.upload(l, 4, batch(l.id, 4, 4)+finish(l.id, 5))
	s.next()
	if id, e, _ := s.next(); id != "5" || e.Type != "session.finished" {
		t.Errorf("%s %+v", id, e)
	}
	if id, _, ok := s.next(); ok {
		t.Errorf("%s after the end", id)
	}
	s.resp.Body.Close()
	resp := b.request("GET", "/api/v1/sessions/"+l.id+"/events", b.person, nil, "Last-Event-ID", "5")
	resp.Body.Close()
	if resp.StatusCode != 204 {
		t.Errorf("a browser that comes back after the end gets %s", resp.Status)
	}
	b.refused(api.CodeInvalid, "GET", "/api/v1/sessions/"+l.id+"/events?after=x", b.person, nil)
	b.refused(api.CodeInvalid, "GET", "/api/v1/sessions/"+l.id+"/events", b.person, nil, "Last-Event-ID", "x")
	b.refused(api.CodeNotFound, "GET", "/api/v1/sessions/nope/events", b.person, nil)
}

// A reader that reads nothing slows nobody, and is cut.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.s.writeTime = 500 * time.Millisecond
	address := b.serve(nil)
	l := b.session()
	slow, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	fmt.Fprintf(slow, "GET /api/v1/sessions/%s/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", l.id, b.person)
	<-b.dispatch.watched
	s := b.sse("/api/v1/sessions/" + l.id + "/events")
	s.r.Buffer(nil, 4<<20)
	text := strings.Repeat("x", 1<<20)
	for n := range uint64(20) {
		b.upload(l, n+1, anEvent(l.id, n+1, "message", `{"role":"assistant","text":"`+text+`"}`))
		if id, _, ok := s.next(); !ok || id != fmt.Sprint(n+1) {
			t.Fatalf("event %d: %s %v", n+1, id, ok)
		}
	}
	// Its handler ends, although nobody closed the connection.
	for start := time.Now(); b.s.hub.readers(l.id) > 1; time.Sleep(10 * time.Millisecond) {
		if time.Since(start) > time.Minute {
			t.Fatal("the slow reader is still there")
		}
	}
}

// A session that ended without a last event ends its streams, too.
func TestStreamOfDeclinedSession(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one, _, err := b.store.AddTask(t.Context(), task.Spec{Prompt: "do it"}, "alice", "", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	h, err := b.store.Offer(t.Context(), one.ID, "r1", "nas", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.store.MoveSession(t.Context(), h.Session, h.Token, task.Declined, "has no room", time.Now()); err != nil {
		t.Fatal(err)
	}
	path := "/api/v1/sessions/" + h.Session + "/events"
	b.do(204, "GET", path, b.person, nil, nil)
	b.do(200, "GET", path+"?follow=1", b.person, nil, nil, "Accept", "application/x-ndjson")
	person, err := api.NewClient(b.url, b.person, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer person.Close()
	for _, err := range person.Events(t.Context(), h.Session, api.Follow{}) {
		if !errors.Is(err, api.ErrNoEnd) {
			t.Errorf("%v", err)
		}
	}
	l := b.session()
	b.upload(l, 1, finish(l.id, 1))
	for e, err := range person.Events(t.Context(), l.id, api.Follow{After: 1}) {
		t.Errorf("%+v %v", e, err)
	}
}

func TestStreamNDJSON(t *testing.T) {
	t.Parallel()
	b := setup(t)
	l := b.session()
	b.upload(l, 1, batch(l.id, 1, 3))
	resp := b.request("GET", "/api/v1/sessions/"+l.id+"/events?raw=1", b.person, nil, "Accept", "application/x-ndjson")
	defer resp.Body.Close()
	data, _ := io.ReadAll(resp.Body)
	if lines := bytes.Count(data, []byte("\n")); lines != 3 || !bytes.Contains(data, []byte(`"raw":{"a":1}`)) {
		t.Errorf("%d lines: %s", lines, data)
	}
}

func TestStopEndsStream(t *testing.T) {
	t.Parallel()
	b := setup(t)
	l := b.session()
	b.upload(l, 1, batch(l.id, 1, 1))
	s := b.sse("/api/v1/sessions/" + l.id + "/events")
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
	l := b.session()
	b.upload(l, 1, batch(l.id, 1, 1))
	s := b.sse("/api/v1/sessions/" + l.id + "/events")
	s.next()
	b.do(204, "POST", "/api/v1/logout", b.person, nil, nil)
	if _, _, ok := s.next(); ok {
		t.Error("the stream goes on")
	}
}

// What is written by hand is what json.Marshal makes of it.
func TestEventOnTheWire(t *testing.T) {
	t.Parallel()
	for _, e := range []api.Event{
		{V: 1, Session: "s", Seq: 7, Time: time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC), Type: "message", Data: json.RawMessage(`{"a":"b"}`)},
		{V: 1, Session: "s\"\n", Seq: 1, Time: time.Now(), Type: "<new>", Raw: json.RawMessage(`[1,2]`)},
		{V: 1, Session: "s", Seq: 1, Time: time.Now(), Type: "t", RawBytes: []byte{0, 1, 255}},
		{V: 1, Session: "s", Seq: 1, Time: time.Now(), Type: "t", RawRef: &api.RawRef{Artifact: "raw-1", Bytes: 3, SHA256: "ab", JSON: true}},
		{V: 1, Session: "s", Seq: 1, Time: time.Now(), Type: "t", Data: json.RawMessage("{\r\n \"a\": 1}")},
	} {
		var b bytes.Buffer
		writeEvent(&b, &e)
		want, err := json.Marshal(e)
		if err != nil || b.String() != string(want) {
			t.Errorf("%s\nwant %s %v", b.String(), want, err)
		}
	}
}

// readers is how many follow a session.
func (h *hub) readers(session string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.topics[session]; t != nil {
		return t.readers
	}
	return 0
}

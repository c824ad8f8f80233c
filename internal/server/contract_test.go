package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// contract holds what goes over the wire against openapi.yaml. All requests of this
// package's tests go through it.
type contract struct {
	doc    *openapi3.T
	router routers.Router

	mu   sync.Mutex
	seen map[string]bool // operations that succeeded
}

var theContract = sync.OnceValue(func() *contract {
	plain := func(r io.Reader, _ http.Header, _ *openapi3.SchemaRef, _ openapi3filter.EncodingFn) (any, error) {
		data, err := io.ReadAll(r)
		return strings.ToValidUTF8(string(data), "?"), err
	}
	for _, kind := range []string{"application/x-ndjson", "text/event-stream", "application/yaml", "application/octet-stream"} {
		openapi3filter.RegisterBodyDecoder(kind, plain)
	}
	doc, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		panic(err)
	}
	router, err := legacy.NewRouter(doc)
	if err != nil {
		panic(err)
	}
	return &contract{doc: doc, router: router, seen: map[string]bool{}}
})

// checked is a transport that fails the test when the document does not say what it sees.
type checked struct {
	t      testing.TB
	prefix string
	next   http.RoundTripper
}

func (c checked) RoundTrip(r *http.Request) (*http.Response, error) {
	var sent []byte
	if b, ok := r.Body.(io.Reader); ok && r.ContentLength > 0 && r.ContentLength < 10<<20 {
		sent, _ = io.ReadAll(b)
		r.Body = io.NopCloser(bytes.NewReader(sent))
	}
	resp, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	seen := r.Clone(r.Context())
	seen.URL.Path = strings.TrimPrefix(seen.URL.Path, c.prefix)
	seen.URL.Scheme, seen.URL.Host, seen.Host = "", "", ""
	seen.Body = io.NopCloser(bytes.NewReader(sent))
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		resp.Body = &recorded{ReadCloser: resp.Body, done: func(data []byte) { c.check(seen, resp, data) }}
		return resp, nil
	}
	data, err := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(data), failing{err}))
	c.check(seen, resp, data)
	return resp, nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, io.EOF
}

// recorded is a body that is checked when it is closed.
type recorded struct {
	io.ReadCloser
	data []byte
	done func([]byte)
}

func (r *recorded) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.data = append(r.data, p[:n]...)
	return n, err
}

func (r *recorded) Close() error {
	r.done(r.data)
	return r.ReadCloser.Close()
}

func (c checked) check(r *http.Request, resp *http.Response, data []byte) {
	c.t.Helper()
	k := theContract()
	route, params, err := k.router.FindRoute(r)
	if err != nil {
		if resp.StatusCode != http.StatusNotFound && strings.HasPrefix(r.URL.Path, "/api/") {
			c.t.Errorf("openapi.yaml has no %s %s (%d): %v", r.Method, r.URL.Path, resp.StatusCode, err)
		}
		return
	}
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route, Options: &openapi3filter.Options{
		AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true,
		ExcludeRequestBody: r.Header.Get("Content-Encoding") == "zstd"}}
	if resp.StatusCode < 300 {
		k.mu.Lock()
		k.seen[route.Operation.OperationID] = true
		k.mu.Unlock()
		if err := openapi3filter.ValidateRequest(r.Context(), in); err != nil {
			c.t.Errorf("%s %s was accepted, but openapi.yaml does not allow it: %v", r.Method, r.URL.Path, err)
		}
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: resp.StatusCode, Header: resp.Header, Options: in.Options}
	out.SetBodyBytes(data)
	if err := openapi3filter.ValidateResponse(r.Context(), out); err != nil {
		c.t.Errorf("the answer to %s %s is not as openapi.yaml has it: %v\n%.500s", r.Method, r.URL.Path, err, data)
	}
	if route.Operation.OperationID == "follow" && resp.StatusCode == http.StatusOK {
		c.checkEvents(data)
	}
}

func (c checked) checkEvents(data []byte) {
	lines := bytes.Split(data, []byte("\n"))
	for _, line := range lines[:len(lines)-1] { // the last may be cut
		line = bytes.TrimPrefix(line, []byte("data: "))
		if !bytes.HasPrefix(line, []byte("{")) {
			continue
		}
		var v any
		if err := json.Unmarshal(line, &v); err != nil {
			c.t.Errorf("event: %v: %s", err, line)
			continue
		}
		if err := theContract().doc.Components.Schemas["Event"].Value.VisitJSON(v, openapi3.EnableJSONSchema2020()); err != nil {
			c.t.Errorf("event: %v: %s", err, line)
		}
	}
}

func TestMain(m *testing.M) {
	code := m.Run()
	k := theContract()
	if f := os.Args; code == 0 && !slices.ContainsFunc(f, func(a string) bool {
		return strings.HasPrefix(a, "-test.run") || strings.HasPrefix(a, "-test.bench") || strings.HasPrefix(a, "-test.fuzz") || strings.HasPrefix(a, "-test.list")
	}) {
		for path, item := range k.doc.Paths.Map() {
			for method, op := range item.Operations() {
				if !k.seen[op.OperationID] {
					fmt.Printf("no test had success with %s %s\n", method, path)
					code = 1
				}
			}
		}
	}
	os.Exit(code)
}

func TestDocumentIsValid(t *testing.T) {
	t.Parallel()
	if err := theContract().doc.Validate(t.Context(), openapi3.IsOpenAPI31OrLater()); err != nil {
		t.Error(err)
	}
	b := setup(t)
	resp := b.request("GET", "/api/v1/openapi.yaml", "", nil)
	defer resp.Body.Close()
	if data, _ := io.ReadAll(resp.Body); !bytes.Equal(data, document) {
		t.Error("another document is served")
	}
}

// Every route is in the document, and the other way round.
func TestDocumentHasEveryRoute(t *testing.T) {
	t.Parallel()
	described := map[string]*openapi3.Operation{}
	for path, item := range theContract().doc.Paths.Map() {
		for method, op := range item.Operations() {
			described[method+" "+path] = op
		}
	}
	for _, r := range setup(t).s.routes() {
		if _, path, _ := strings.Cut(r.pattern, " "); !strings.HasPrefix(path, "/api/") && r.pattern != "GET /metrics" && !strings.HasSuffix(path, "z") {
			continue // a page
		}
		op := described[r.pattern]
		if op == nil {
			t.Errorf("openapi.yaml has no %s", r.pattern)
			continue
		}
		delete(described, r.pattern)
		if open := op.Security != nil && len(*op.Security) == 0; open != (r.who == anyone) {
			t.Errorf("%s: openapi.yaml is wrong about who may call it", r.pattern)
		}
	}
	for pattern := range described {
		t.Errorf("there is no %s", pattern)
	}
}

// Every field of the types is in the document, and the other way round.
func TestDocumentHasEveryField(t *testing.T) {
	t.Parallel()
	types := []any{api.ErrorBody{}, api.Error{}, api.Sync{}, api.Workspace{}, api.Agent{}, api.Health{}, api.SessionReport{}, api.SyncAnswer{},
		api.Lease{}, api.Renewal{}, api.Command{}, api.NewCommand{}, event.Answer{}, api.Stop{}, api.Announce{}, api.Acked{}, api.Artifact{},
		task.Spec{}, task.Task{}, api.TaskDetail{}, api.Tasks{}, task.Session{}, event.Usage{}, api.Sessions{}, api.Commands{}, api.Event{}, api.RawRef{},
		api.InboxItem{}, api.Inbox{}, event.AskOpened{}, event.Question{}, event.Choice{}, api.Runner{}, api.Runners{}, api.Token{}, api.NewToken{},
		api.CreatedToken{}, api.Tokens{}, api.AuditEntry{}, api.Audit{}, api.Me{}, api.Setup{}, api.Login{}}
	schemas := theContract().doc.Components.Schemas
	known := map[string]bool{"Status": true, "TaskState": true, "SessionState": true, "Outcome": true, "CommandKind": true, "Priority": true}
	for _, v := range types {
		name := reflect.TypeOf(v).Name()
		known[name] = true
		s := schemas[name]
		if s == nil {
			t.Errorf("openapi.yaml has no schema %s", name)
			continue
		}
		described := map[string]bool{}
		describe(s.Value, described)
		for _, f := range jsonFields(reflect.TypeOf(v)) {
			if !described[f] {
				t.Errorf("schema %s has no %s", name, f)
			}
			delete(described, f)
		}
		for f := range described {
			t.Errorf("%s has no field %s", name, f)
		}
	}
	for name := range schemas {
		if !known[name] {
			t.Errorf("schema %s is of no type", name)
		}
	}
}

func describe(s *openapi3.Schema, fields map[string]bool) {
	for f := range s.Properties {
		fields[f] = true
	}
	for _, base := range s.AllOf {
		describe(base.Value, fields)
	}
}

func jsonFields(t reflect.Type) (names []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && tag == "":
			names = append(names, jsonFields(f.Type)...)
		case tag != "-":
			names = append(names, tag)
		}
	}
	return names
}

// Every code has a status of its own table, and every error of the packages below a code.
func TestEveryCodeHasAStatus(t *testing.T) {
	t.Parallel()
	codes := theContract().doc.Components.Schemas["Error"].Value.Properties["code"].Value.Enum
	for _, code := range codes {
		if s := status(api.Code(code.(string))); (s == 500) != (code == "internal") {
			t.Errorf("%s: %d", code, s)
		}
	}
	if e := problem(errors.New("disk on fire at /secret")); e.Code != api.CodeInternal || strings.Contains(e.Message, "secret") {
		t.Errorf("%+v", e)
	}
}

package engineproxy

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
)

// Containers that the engine of the tests knows.
var (
	session  = strings.Repeat("a", 64) // a session's, made by the proxy
	looked   = strings.Repeat("b", 64) // one to look into
	runnerC  = strings.Repeat("c", 64) // the runner's own
	stranger = strings.Repeat("d", 64) // somebody else's
	unfenced = strings.Repeat("e", 64) // a session's, made by a runner without a proxy

	ourExec   = strings.Repeat("1", 64)
	theirExec = strings.Repeat("2", 64)
)

// engine records what arrives at the engine and answers what the proxy asks.
type engine struct {
	mu  sync.Mutex
	got []string // method, path, query and body, but for the proxy's own questions
}

func (e *engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	labels := map[string]map[string]string{
		session:  {labelSession: "s", labelProxy: "1"},
		looked:   {labelLook: "", labelProxy: "look", labelSession: "the image's"},
		runnerC:  {"box": "runner"},
		stranger: {"com.docker.compose.project": "db"},
		unfenced: {labelSession: "s"},
	}
	body, _ := io.ReadAll(r.Body)
	if r.UserAgent() != userAgent {
		e.mu.Lock()
		e.got = append(e.got, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Method, r.URL.RequestURI(), body)))
		e.mu.Unlock()
	}
	_, path, _ := strings.Cut(r.URL.Path[1:], "/") // without the API's version
	id := strings.Split(path+"//", "/")[1]
	switch {
	case r.Header.Get("Upgrade") != "":
		c, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		fmt.Fprint(rw, "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
		rw.Flush()
		all, _ := io.ReadAll(rw) // until the client closes its half
		fmt.Fprintf(c, "heard %s", all)
	case path == "containers/json":
		fmt.Fprint(w, `[{"Labels":{"box":"runner"},"Mounts":[
			{"Type":"bind","Source":"/home/me/src","Destination":"/workspaces","RW":true},
			{"Type":"bind","Source":"/srv/given","Destination":"/given","RW":false},
			{"Type":"volume","Source":"/var/lib/docker/volumes/run/_data","Destination":"/run/ratchetai","RW":true},
			{"Type":"tmpfs","Source":"","Destination":"/tmp","RW":true}]},
			{"Labels":{"box":"runner","ratchetai.proxy":"1"},"Mounts":[{"Type":"bind","Source":"/etc","Destination":"/x","RW":true}]}]`)
	case strings.HasPrefix(path, "containers/") && strings.HasSuffix(path, "/json") && labels[id] != nil:
		json.NewEncoder(w).Encode(map[string]any{"Id": id, "Config": map[string]any{"Labels": labels[id]}})
	case path == "exec/"+ourExec+"/json":
		fmt.Fprintf(w, `{"ContainerID":%q}`, session)
	case path == "exec/"+theirExec+"/json":
		fmt.Fprintf(w, `{"ContainerID":%q}`, stranger)
	case path == "containers/gone/json":
		w.WriteHeader(http.StatusNotFound)
	}
}

// last is the last request that arrived.
func (e *engine) last() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.got) == 0 {
		return ""
	}
	return e.got[len(e.got)-1]
}

// setup starts an engine and a proxy before it, and returns the proxy's socket.
func setup(t *testing.T) (*engine, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "proxy") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	e := &engine{}
	l, err := net.Listen("unix", filepath.Join(dir, "engine"))
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: e}}
	server.Start()
	t.Cleanup(server.Close)
	log := logrus.New()
	log.SetOutput(io.Discard)
	p, err := New(Options{
		Socket: filepath.Join(dir, "engine"), Dirs: []string{"/srv/projects/"}, MountsOf: "box=runner", Users: []string{"7:8", "1000:1000", "1000:999"}, Listen: "/run/ratchetai/engine.sock", Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	p.gid = 999
	listener, err := Listen(filepath.Join(dir, "proxy"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- p.Serve(t.Context(), listener) }()
	t.Cleanup(func() {
		p.Close()
		if err := <-done; err != nil { // t's context has ended
			t.Error(err)
		}
	})
	return e, filepath.Join(dir, "proxy")
}

// send writes one request as it is and returns the status and the rest.
func send(t *testing.T, socket, request, body string) (status int, answer string) {
	t.Helper()
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", request, len(body), body)
	all, _ := io.ReadAll(c)
	if _, err := fmt.Sscanf(string(all), "HTTP/1.1 %d", &status); err != nil {
		t.Fatalf("%s: answer %q", request, all)
	}
	return status, string(all)
}

// Every request that package sandbox sends passes, as what was checked.
func TestAllowed(t *testing.T) {
	t.Parallel()
	e, socket := setup(t)
	for request, want := range map[string]string{
		"HEAD /_ping":     "HEAD /_ping",
		"GET /v1.51/info": "GET /v1.51/info",
		`GET /v1.41/containers/json?all=1&limit=3&filters={"label":{"ratchetai.session":true}}`:                   "GET /v1.41/containers/json?all=1&filters=%7B%22label%22%3A%7B%22ratchetai.proxy%22%3Atrue%2C%22ratchetai.session%22%3Atrue%7D%7D",
		"GET /v1.41/containers/" + session + "/json":                                                              "GET /v1.41/containers/" + session + "/json",
		"GET /v1.52/containers/" + session + "/stats":                                                             "GET /v1.52/containers/" + session + "/stats",
		"GET /v1.41/containers/" + runnerC + "/json":                                                              "GET /v1.41/containers/" + runnerC + "/json",
		"HEAD /v1.41/containers/" + looked + "/archive?path=/etc/x":                                               "HEAD /v1.41/containers/" + looked + "/archive?path=%2Fetc%2Fx",
		"DELETE /v1.41/containers/" + session + "?force=1&v=1&link=1":                                             "DELETE /v1.41/containers/" + session + "?force=1&v=1",
		"POST /v1.41/containers/" + session + "/start?checkpoint=x":                                               "POST /v1.41/containers/" + session + "/start",
		"POST /v1.41/containers/" + session + "/wait?condition=next-exit":                                         "POST /v1.41/containers/" + session + "/wait?condition=next-exit",
		"POST /v1.41/containers/" + session + "/kill?signal=15":                                                   "POST /v1.41/containers/" + session + "/kill?signal=15",
		"GET /v1.41/containers/" + session + "/stats?stream=0&one-shot=1":                                         "GET /v1.41/containers/" + session + "/stats?one-shot=1&stream=0",
		"POST /v1.52/exec/" + ourExec + "/resize?h=1&w=2":                                                         "POST /v1.52/exec/" + ourExec + "/resize?h=1&w=2",
		"GET /v1.41/exec/" + ourExec + "/json":                                                                    "GET /v1.41/exec/" + ourExec + "/json",
		"GET /v1.41/images/json?filters={}":                                                                       "GET /v1.41/images/json?filters=%7B%7D",
		"GET /v1.41/images/localhost:5000/a/b:1@sha256:0/json":                                                    "GET /v1.41/images/localhost:5000/a/b:1@sha256:0/json",
		"DELETE /v1.41/images/ratchetai-runner:1?force=1":                                                         "DELETE /v1.41/images/ratchetai-runner:1",
		"POST /v1.41/images/create?fromImage=debian&tag=1":                                                        "POST /v1.41/images/create?fromImage=debian&tag=1",
		"POST /v1.41/build?t=ratchetai-runner:1&dockerfile=D&version=1&forcerm=1&buildargs={}&labels={}&target=x": "POST /v1.41/build?buildargs=%7B%7D&dockerfile=D&forcerm=1&labels=%7B%7D&t=ratchetai-runner%3A1&target=x&version=1",
	} {
		if status, answer := send(t, socket, request, ""); status != http.StatusOK {
			t.Errorf("%s: %s", request, answer)
		} else if got := e.last(); got != want {
			t.Errorf("%s arrived as\n%s, not\n%s", request, got, want)
		}
	}
}

// A sandbox's request as the client of package sandbox sends it: sandbox's golden file.
func golden(t *testing.T) map[string]any {
	t.Helper()
	data, err := os.ReadFile("../../sandbox/testdata/plan/all.json")
	if err != nil {
		t.Fatal(err)
	}
	var plan struct {
		Config map[string]any
		Host   map[string]any
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber() // as the proxy does
	if err := d.Decode(&plan); err != nil {
		t.Fatal(err)
	}
	plan.Config["HostConfig"] = plan.Host
	plan.Config["NetworkingConfig"] = nil
	for i, source := range []string{
		"/srv/projects/p/io", "/home/me/src/p/a, b:c", "/home/me/src", "/srv/given/x", "/srv/given", "/srv/projects",
	} {
		m := plan.Host["Mounts"].([]any)[i].(map[string]any)
		m["Source"] = source
		if strings.HasPrefix(source, "/srv/given") {
			m["ReadOnly"] = true
		}
	}
	return plan.Config
}

func encode(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestCreate(t *testing.T) {
	t.Parallel()
	e, socket := setup(t)
	sent := golden(t)
	status, answer := send(t, socket, "POST /v1.52/containers/create?name=ratchetai-s2", encode(t, sent))
	if status != http.StatusOK {
		t.Fatal(answer)
	}
	request, body, _ := strings.Cut(e.last(), " {")
	if request != "POST /v1.52/containers/create?name=ratchetai-s2" {
		t.Error(request)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte("{"+body), &got); err != nil {
		t.Fatal(err)
	}
	want := prune(sent).(map[string]any)
	want["Labels"].(map[string]any)[labelProxy] = "1"
	if d := cmp.Diff(encode(t, want), encode(t, got)); d != "" {
		t.Errorf("what arrived (-sent +arrived):\n%s", d)
	}
	look := `{"Image":"i","Entrypoint":["x"],"Labels":{"ratchetai.look":""},"NetworkDisabled":true,"HostConfig":{"NetworkMode":"none"}}`
	if status, answer := send(t, socket, "POST /v1.41/containers/create", look); status != http.StatusOK {
		t.Error(answer)
	}
	if got := e.last(); !strings.Contains(got, `"ratchetai.proxy":"look"`) {
		t.Errorf("%s: not told from a session's", got)
	}
}

// A stream passes in both directions, and the end of one is not the end of the other.
func TestStream(t *testing.T) {
	t.Parallel()
	_, socket := setup(t)
	for _, path := range []string{"/containers/" + session + "/attach?stream=1&stdout=1", "/exec/" + ourExec + "/start"} {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "POST /v1.41%s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 2\r\n\r\n{}", path)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("%s: %v %v", path, resp, err)
		}
		fmt.Fprint(c, "some bytes")
		if err := c.(*net.UnixConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		all, _ := io.ReadAll(c)
		if string(all) != "heard some bytes" {
			t.Errorf("%s: %q", path, all)
		}
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"relative directory": {Dirs: []string{"x"}}, "root": {Users: []string{"0:0"}}, "a name": {Users: []string{"me"}},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s passes", name)
		}
	}
}

// To the runner an engine that is away looks as it does without a proxy.
func TestEngineAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, err := New(Options{Socket: filepath.Join(dir, "none"), Log: logrus.New()})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(p)
	defer server.Close()
	for _, path := range []string{"/_ping", "/v1.41/info", "/v1.41/containers/x/json"} {
		if resp, err := http.Get(server.URL + path); err == nil {
			resp.Body.Close()
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
}

package engineproxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
)

// labelProxy is on every container that a proxy made and says what was checked: proxySession
// or proxyLook. The other labels of a container may be those of its image, which is anybody's.
const (
	labelProxy   = "ratchetai.proxy"
	proxySession = "1"
	proxyLook    = "look"
)

// The labels of package sandbox.
const (
	labelSession = "ratchetai.session"
	labelRunner  = "ratchetai.runner"
	labelLook    = "ratchetai.look"
)

// errNotFound: the engine has no such container.
var errNotFound = errors.New("no such container")

// right is what may be done with a container. Each includes those before it.
type right int

const (
	none right = iota
	read       // look at it: the runner's own container
	look       // and into its files, and remove it: one that never runs
	run        // and everything that sandboxes need
)

// rightTo says what may be done with a container that has labels.
func (p *Proxy) rightTo(labels map[string]string) right {
	if made, ok := labels[labelProxy]; ok {
		if made == proxySession && labels[labelSession] != "" {
			return run
		}
		return look
	}
	key, value, ok := strings.Cut(p.options.MountsOf, "=")
	if v, has := labels[key]; ok && has && v == value {
		return read
	}
	return none
}

// What is made of these expressions is large, and few processes of this program are a proxy.
var containerName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$`) })

// container makes a check of a request for a container, whose path ends with verb.
func (p *Proxy) container(need right, verb string, query ...string) func(*http.Request) (call, error) {
	return func(r *http.Request) (call, error) {
		id, err := p.permit(r, r.PathValue("id"), need)
		return call{path: "/containers/" + id + verb, query: only(r, query...)}, err
	}
}

// stream is container for a request whose connection becomes a stream.
func (p *Proxy) stream(verb string, query ...string) func(*http.Request) (call, error) {
	check := p.container(run, verb, query...)
	return func(r *http.Request) (call, error) {
		c, err := check(r)
		c.hijack = true
		return c, err
	}
}

// permit returns the id of the container that the engine knows as name, if need may
// be done with it. A name is looked up each time, as it may change its owner.
func (p *Proxy) permit(r *http.Request, name string, need right) (id string, err error) {
	if !containerName().MatchString(name) {
		return "", refusal{"no name of a container"}
	}
	has, ok := p.known.get(name)
	if id = name; !ok {
		var c struct {
			ID     string `json:"Id"`
			Config struct{ Labels map[string]string }
		}
		if err := p.ask(r, "/containers/"+name+"/json", nil, &c); err != nil {
			return "", err
		}
		id, has = c.ID, p.rightTo(c.Config.Labels)
		if has != none {
			p.known.put(id, has)
		}
	}
	if has < need {
		return "", refusal{"the container was not made here, or not for this"}
	}
	return id, nil
}

// execID is the form of the engine's ids of commands in containers.
var execID = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{64}$`) })

// exec makes a check of a request for a command in a container of ours.
func (p *Proxy) exec(verb string, query ...string) func(*http.Request) (call, error) {
	return func(r *http.Request) (call, error) {
		id := r.PathValue("id")
		if !execID().MatchString(id) {
			return call{}, refusal{"no id of a command"}
		}
		var e struct{ ContainerID string }
		if err := p.ask(r, "/exec/"+id+"/json", nil, &e); err != nil {
			return call{}, err
		}
		if _, err := p.permit(r, e.ContainerID, run); err != nil {
			return call{}, err
		}
		return call{path: "/exec/" + id + verb, query: only(r, query...)}, nil
	}
}

// execCreate allows a command as the sandbox's own user.
func (p *Proxy) execCreate(r *http.Request) (call, error) {
	id, err := p.permit(r, r.PathValue("id"), run)
	if err != nil {
		return call{}, err
	}
	var body struct {
		Tty          bool     `json:",omitempty"`
		ConsoleSize  *[2]uint `json:",omitempty"`
		AttachStdin  bool     `json:",omitempty"`
		AttachStderr bool     `json:",omitempty"`
		AttachStdout bool     `json:",omitempty"`
		Cmd          []string
	}
	if err := readBody(r, &body); err != nil {
		return call{}, err
	}
	data, err := json.Marshal(body)
	return call{path: "/containers/" + id + "/exec", body: data}, err
}

func (p *Proxy) execStart(r *http.Request) (call, error) {
	c, err := p.exec("/start")(r)
	if err != nil {
		return call{}, err
	}
	var body struct {
		Tty         bool     `json:",omitempty"`
		ConsoleSize *[2]uint `json:",omitempty"`
	}
	if err := readBody(r, &body); err != nil {
		return call{}, err
	}
	c.hijack = true
	c.body, err = json.Marshal(body)
	return c, err
}

// userAgent tells the proxy's own questions from the runner's requests.
const userAgent = "ratchetai-engine-proxy"

// ask decodes the engine's answer to GET path, in the version of the API that r has.
func (p *Proxy) ask(r *http.Request, path string, query url.Values, v any) error {
	prefix, err := version(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), lookMax)
	defer cancel()
	address := url.URL{Scheme: "http", Host: "engine", Path: prefix + path, RawQuery: query.Encode()}
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), http.NoBody)
	if err != nil {
		return err
	}
	q.Header.Set("User-Agent", userAgent)
	resp, err := p.engine.RoundTrip(q)
	if err != nil {
		return fmt.Errorf("ask the engine: %w", err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotFound:
		return errNotFound
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("ask the engine: %s", resp.Status)
	}
	return json.NewDecoder(io.LimitReader(resp.Body, 16<<20)).Decode(v)
}

// knownMax is how many containers are remembered: more than a machine runs.
const knownMax = 4096

// known are the rights to containers by their ids, which no other container ever gets;
// neither do a container's labels change.
type known struct {
	mu sync.Mutex
	by map[string]right
}

func (k *known) get(id string) (right, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r, ok := k.by[id]
	return r, ok
}

func (k *known) put(id string, r right) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.by == nil || len(k.by) >= knownMax {
		k.by = make(map[string]right)
	}
	k.by[id] = r
}

package engineproxy

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/sirupsen/logrus"
)

const (
	// bodyMax bounds what is read and checked, in bytes; contextMax the context of a
	// build, which is passed on as it comes.
	bodyMax    = 1 << 20
	contextMax = 4 << 30
	// lookMax bounds a question of the proxy's own to the engine.
	lookMax = 30 * time.Second
	// apiMajor and apiMinor are the oldest version of the engine's API that is passed
	// on: older ones take parts of a container at its start.
	apiMajor, apiMinor = 1, 41
)

// Options say what a proxy allows.
type Options struct {
	// Socket is the engine's.
	Socket string
	// Dirs are directories of the engine's machine that sandboxes may mount, and what
	// is in them.
	Dirs []string
	// MountsOf is the label, KEY=VALUE, of the runner's own container: sandboxes may
	// mount what it has mounted, as it has it, and the runner may look at it. Empty is
	// no container.
	MountsOf string
	// Listen is the proxy's own socket as the runner's container has it: the mount with
	// it is the runner's alone.
	Listen string
	// Users, UID:GID, are who sandboxes may be; with none, everybody but root.
	Users []string
	// Log gets a warning for each request that is refused.
	Log logrus.FieldLogger
}

// Proxy is the filter. It is an [http.Handler], safe for concurrent use.
type Proxy struct {
	options Options
	engine  *http.Transport
	forward *httputil.ReverseProxy
	routes  http.Handler
	known   known
	gid     int64 // of the engine's socket, -1 if unknown
}

// New returns a proxy; it does not connect yet. Close it.
func New(o Options) (*Proxy, error) {
	for i, dir := range o.Dirs {
		if !filepath.IsAbs(dir) {
			return nil, errors.New("directory " + strconv.Quote(dir) + " is not absolute")
		}
		o.Dirs[i] = filepath.Clean(dir)
	}
	for _, user := range o.Users {
		if err := checkUser(user, -1, nil); err != nil {
			return nil, err
		}
	}
	p := &Proxy{options: o, gid: socketGroup(o.Socket)}
	p.engine = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", o.Socket)
		},
		DisableCompression: true, MaxIdleConns: 16, MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute,
	}
	p.forward = &httputil.ReverseProxy{
		Rewrite:       func(*httputil.ProxyRequest) {}, // the request was built by pass
		Transport:     p.engine,
		FlushInterval: -1, // a wait answers with its headers first
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {
			panic(http.ErrAbortHandler) // to the runner the engine is gone, as it is
		},
	}
	p.routes = p.table()
	return p, nil
}

// Close lets idle connections go.
func (p *Proxy) Close() { p.engine.CloseIdleConnections() }

// refusal is why a request is not passed on.
type refusal struct{ reason string }

func (r refusal) Error() string { return r.reason }

// call is a request that was checked: what the engine is asked.
type call struct {
	path   string // without the version; its parts are escaped
	query  url.Values
	body   []byte // nil: none, unless stream is set
	stream bool   // pass the body on as it comes
	hijack bool   // the connection becomes a stream of bytes
}

// handle makes a handler of check, which returns what to ask the engine.
func (p *Proxy) handle(check func(*http.Request) (call, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := check(r)
		if err == nil {
			err = p.pass(w, r, c)
		}
		var refused refusal
		switch {
		case err == nil:
		case errors.As(err, &refused):
			p.options.Log.WithFields(logrus.Fields{"method": r.Method, "path": r.URL.Path, "reason": refused.reason}).Warn("refused")
			answer(w, http.StatusForbidden, "refused by the engine proxy: "+refused.reason)
		case errors.Is(err, errNotFound):
			answer(w, http.StatusNotFound, "No such container")
		default:
			panic(http.ErrAbortHandler) // as above
		}
	}
}

// answer is an error in the engine's form.
func answer(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": message})
}

var apiVersion = regexp.MustCompile(`^v([0-9]{1,3})\.([0-9]{1,3})$`)

// version returns the path's first element, an API version that is passed on.
func version(r *http.Request) (string, error) {
	v := r.PathValue("version")
	m := apiVersion.FindStringSubmatch(v)
	if m == nil {
		return "", refusal{"no API version in the path"}
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	if major != apiMajor || minor < apiMinor {
		return "", refusal{"API version " + v + " is too old"}
	}
	return "/" + v, nil
}

// passedHeaders are what the engine is told of the request.
var passedHeaders = [...]string{"Content-Type", "X-Registry-Auth", "X-Registry-Config"}

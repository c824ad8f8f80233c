package engineproxy

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// imagePrefix begins the names of the images that a runner may build and remove.
const imagePrefix = "ratchetai-"

// table is every request that is passed on, which is what package sandbox sends.
func (p *Proxy) table() http.Handler {
	mux := http.NewServeMux()
	route := func(pattern string, check func(*http.Request) (call, error)) { mux.Handle(pattern, p.handle(check)) }
	route("GET /_ping", func(*http.Request) (call, error) { return call{path: "/_ping"}, nil })
	route("GET /{version}/info", func(*http.Request) (call, error) { return call{path: "/info"}, nil })

	route("POST /{version}/containers/create", p.create)
	route("GET /{version}/containers/json", listContainers)
	route("GET /{version}/containers/{id}/json", p.container(read, "/json"))
	route("HEAD /{version}/containers/{id}/archive", p.container(look, "/archive", "path"))
	route("DELETE /{version}/containers/{id}", p.container(look, "", "force", "v"))
	route("POST /{version}/containers/{id}/attach", p.stream("/attach", "stream", "stdout", "stderr"))
	route("POST /{version}/containers/{id}/start", p.container(run, "/start"))
	route("POST /{version}/containers/{id}/wait", p.container(run, "/wait", "condition"))
	route("POST /{version}/containers/{id}/kill", p.container(run, "/kill", "signal"))
	route("GET /{version}/containers/{id}/stats", p.container(run, "/stats", "stream", "one-shot"))
	route("POST /{version}/containers/{id}/exec", p.execCreate)
	route("POST /{version}/exec/{id}/start", p.execStart)
	route("POST /{version}/exec/{id}/resize", p.exec("/resize", "h", "w"))
	route("GET /{version}/exec/{id}/json", p.exec("/json"))

	route("GET /{version}/images/json", func(r *http.Request) (call, error) {
		return call{path: "/images/json", query: only(r, "all", "filters")}, nil
	})
	route("GET /{version}/images/{name...}", inspectImage)
	route("DELETE /{version}/images/{name...}", removeImage)
	route("POST /{version}/images/create", pull)
	route("POST /{version}/build", build)
	mux.Handle("/", p.handle(func(*http.Request) (call, error) {
		return call{}, refusal{"no sandbox needs this request"}
	}))
	return mux
}

// ServeHTTP implements [http.Handler].
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.routes.ServeHTTP(w, r) }

// only returns those values of r's query that are named.
func only(r *http.Request, names ...string) url.Values {
	from, to := r.URL.Query(), url.Values{}
	for _, name := range names {
		if v := from[name]; len(v) > 0 {
			to.Set(name, v[0])
		}
	}
	return to
}

// listContainers shows what this proxy has made, by labels of ours.
func listContainers(r *http.Request) (call, error) {
	var filters map[string]map[string]bool
	if err := json.Unmarshal([]byte(r.URL.Query().Get("filters")), &filters); err != nil {
		return call{}, refusal{"a list of containers without our label"}
	}
	for key, values := range filters {
		for value := range values {
			if key != "label" || !strings.HasPrefix(value, "ratchetai.") {
				return call{}, refusal{"a list of containers by " + key + " " + value}
			}
		}
	}
	labels := filters["label"]
	if len(labels) == 0 {
		return call{}, refusal{"a list of containers without our label"}
	}
	labels[labelProxy] = true
	text, err := json.Marshal(map[string]map[string]bool{"label": labels})
	if err != nil {
		return call{}, err
	}
	query := only(r, "all")
	query.Set("filters", string(text))
	return call{path: "/containers/json", query: query}, nil
}

var imageName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._/:@-]*$`)

// imagePath is the path of image name, whose slashes are not escaped.
func imagePath(name string) (string, error) {
	if !imageName.MatchString(name) || strings.Contains(name, "..") || strings.Contains(name, "//") {
		return "", refusal{"no name of an image"}
	}
	return "/images/" + name, nil
}

func inspectImage(r *http.Request) (call, error) {
	name, ok := strings.CutSuffix(r.PathValue("name"), "/json")
	if !ok {
		return call{}, refusal{"no sandbox needs this request"}
	}
	path, err := imagePath(name)
	return call{path: path + "/json"}, err
}

func removeImage(r *http.Request) (call, error) {
	path, err := imagePath(r.PathValue("name"))
	if err == nil && !strings.HasPrefix(r.PathValue("name"), imagePrefix) {
		err = refusal{"the image is not one of ours"}
	}
	return call{path: path, query: only(r, "noprune")}, err
}

func pull(r *http.Request) (call, error) {
	if r.URL.Query().Get("fromImage") == "" || r.URL.Query().Has("fromSrc") {
		return call{}, refusal{"images are pulled, not imported"}
	}
	return call{path: "/images/create", query: only(r, "fromImage", "tag", "platform")}, nil
}

// build allows what the classic builder does without the machine's network.
func build(r *http.Request) (call, error) {
	tags := r.URL.Query()["t"]
	if len(tags) != 1 || !strings.HasPrefix(tags[0], imagePrefix) {
		return call{}, refusal{"only images named " + imagePrefix + "… are built"}
	}
	known := []string{"t", "dockerfile", "buildargs", "labels", "target", "rm", "forcerm"}
	query := only(r, known...)
	query.Set("version", "1")
	for name, values := range r.URL.Query() {
		if len(values) != 1 || query.Get(name) != values[0] && values[0] != "" {
			return call{}, refusal{"a build with " + name + "=" + strings.Join(values, " ")}
		}
	}
	return call{path: "/build", query: query, stream: true}, nil
}

package engineproxy

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
)

// pass sends c in the place of r and copies the answer to w.
func (p *Proxy) pass(w http.ResponseWriter, r *http.Request, c call) error {
	prefix := ""
	if r.PathValue("version") != "" {
		v, err := version(r)
		if err != nil {
			return err
		}
		prefix = v
	}
	out := r.Clone(r.Context())
	path, err := url.PathUnescape(c.path)
	if err != nil {
		return refusal{"a path that cannot be read"}
	}
	out.URL = &url.URL{Scheme: "http", Host: "engine", Path: prefix + path, RawPath: prefix + c.path, RawQuery: c.query.Encode()}
	out.Host = "engine"
	out.Header = make(http.Header)
	for _, name := range passedHeaders {
		if v := r.Header.Get(name); v != "" {
			out.Header.Set(name, v)
		}
	}
	switch {
	case c.stream:
		out.Body = http.MaxBytesReader(w, r.Body, contextMax)
	case c.body != nil:
		out.Header.Set("Content-Type", "application/json")
		out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(c.body)), int64(len(c.body))
	default:
		out.Body, out.ContentLength = http.NoBody, 0
	}
	out.TransferEncoding = nil
	if c.hijack && r.Header.Get("Upgrade") != "" {
		out.Header.Set("Connection", "Upgrade")
		out.Header.Set("Upgrade", "tcp")
	}
	p.forward.ServeHTTP(w, out)
	return nil
}

// readBody decodes r's body into v, whose fields are all that may be there: a field
// that is zero counts as absent, any other that v does not have is refused. It returns
// the body that goes to the engine.
func readBody(r *http.Request, v any) error {
	data, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, bodyMax))
	if err != nil {
		return refusal{"a body that cannot be read: " + err.Error()}
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var all any
	if err := d.Decode(&all); err != nil {
		return refusal{"a body that is no JSON: " + err.Error()}
	}
	if d.More() {
		return refusal{"a body of more than one value"}
	}
	said, err := json.Marshal(prune(all))
	if err != nil {
		return refusal{"a body that is no JSON: " + err.Error()}
	}
	d = json.NewDecoder(bytes.NewReader(said))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return refusal{err.Error()}
	}
	return nil
}

// prune removes the fields of v that say nothing: the engine's clients send every
// field there is.
func prune(v any) any {
	object, ok := v.(map[string]any)
	if !ok {
		return v
	}
	for key, value := range object {
		if key == "Labels" || key == "Tmpfs" { // a name there says something by itself
			continue
		}
		if value = prune(value); empty(value) {
			delete(object, key)
		} else {
			object[key] = value
		}
	}
	return object
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case json.Number:
		return v == "0"
	case map[string]any:
		return len(v) == 0
	case []any:
		for _, e := range v {
			if n, ok := e.(json.Number); !ok || n != "0" {
				return false
			}
		}
		return true
	}
	return false
}

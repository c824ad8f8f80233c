//go:build e2e

package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// secrets are the fake tokens of one login.
type secrets struct{ access, refresh, id string }

// jwt is a token as ChatGPT logins have it, valid for a day.
func jwt(subject string) string {
	part := func(v any) string {
		data, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(data)
	}
	return part(map[string]string{"alg": "RS256"}) + "." + part(map[string]any{
		"sub": subject, "exp": time.Now().Add(24 * time.Hour).Unix(), "nonce": fakeToken(agent.Codex),
		"https://api.openai.com/auth": map[string]string{"chatgpt_plan_type": "plus", "chatgpt_account_id": "acc-fake"},
	}) + "." + strings.Repeat("c2lnbmF0dXJl", 8)
}

// hostLogin writes the person's login file as the vendor's CLI leaves it, and
// makes the runner use it.
func (b *bundle) hostLogin() (path string, s secrets) {
	b.t.Helper()
	var file map[string]any
	if b.kind == agent.Claude {
		s = secrets{access: b.token, refresh: "sk-ant-ort01-FAKE" + fakeToken(agent.Codex)[12:]}
		path = filepath.Join(b.home, ".claude", ".credentials.json")
		file = map[string]any{"claudeAiOauth": map[string]any{
			"accessToken": s.access, "refreshToken": s.refresh, "expiresAt": time.Now().Add(8 * time.Hour).UnixMilli(),
			"scopes": []string{"user:inference"}, "subscriptionType": "max",
		}}
	} else {
		s = secrets{access: b.token, refresh: "rt_FAKE" + fakeToken(agent.Codex)[12:], id: jwt("somebody")}
		path = filepath.Join(b.home, ".codex", "auth.json")
		// A key, because a ChatGPT login does not follow the base URL.
		file = map[string]any{"OPENAI_API_KEY": s.access, "tokens": map[string]any{
			"id_token": s.id, "access_token": jwt("access"), "refresh_token": s.refresh, "account_id": "acc-fake",
		}, "auth_mode": "apikey", "last_refresh": time.Now().UTC().Format(time.RFC3339)}
	}
	data, err := json.MarshalIndent(file, "", "  ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil {
		err = os.WriteFile(path, data, 0o600)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	delete(b.env, loginVar(b.kind))
	return path, s
}

// printing are the commands with which the agent prints its login, in the
// encodings that accidents have.
func printing(file string) []string {
	return []string{
		"cat " + file,
		"base64 " + file,
		"base64 -w 0 " + file,
		"base64 -w 20 " + file,
		"base64 -w 33 " + file + " | sed 's/^/    /'",
		"python3 -c 'import urllib.parse,sys; print(urllib.parse.quote(open(sys.argv[1]).read(), safe=\"\"))' " + file,
		"python3 -c 'import json,sys; print(json.dumps(json.dumps(open(sys.argv[1]).read())))' " + file,
		"python3 -c 'import sys; print(open(sys.argv[1]).read().encode().hex())' " + file,
		"fold -w 30 " + file,
		"jq . " + file + " || true",
		"env | sort; tr '\\0' '\\n' </proc/$(pgrep -ox 'claude|codex')/environ",
		"for i in 1 2 3 4 5; do cat " + file + "; sleep 0.05; done; head -c 700 " + file + "; sleep 0.3; tail -c +701 " + file,
		"cat " + file + " >&2; cat " + file + " >/proc/$(pgrep -ox 'claude|codex')/fd/2",
	}
}

// TestSecrets lets the agent print its login in every way and has the model
// repeat the token in pieces. No token is in anything that the runner keeps or
// shows; the refresh token is not even in the sandbox; the host's file is as it was.
func TestSecrets(t *testing.T) {
	for _, mode := range []string{"mount", "env"} {
		t.Run(mode, func(t *testing.T) {
			bothAgents(t, func(t *testing.T, kind agent.Kind) { testSecrets(t, kind, mode) })
		})
	}
}

func testSecrets(t *testing.T, kind agent.Kind, mode string) {
	b := setup(t, kind)
	s := secrets{access: b.token, refresh: fakeToken(agent.Codex)} // in mode env there is none
	var path string
	if mode == "mount" {
		path, s = b.hostLogin()
	}
	before := b.stat(path)
	file := "$HOME/.claude/.credentials.json"
	if kind == agent.Codex {
		file = "$HOME/.codex/auth.json"
	}
	var turns []modelapi.Turn
	for _, command := range printing(file) {
		turns = append(turns, modelapi.Shell(command))
	}
	turns = append(turns, search("refresh", s.refresh), search("access", s.access),
		modelapi.Text("the token is "+s.access+", so "+url.QueryEscape(s.access)+" and "+base64.StdEncoding.EncodeToString([]byte(s.access))).
			Slowly(3, 0).With(modelapi.Shell("echo '"+s.access+"' | tee token.txt")),
		modelapi.Turn{Thinking: "I think of " + s.access, Text: "done with " + s.access})
	b.api.Script(b.token, turns...)
	// The agent talks through this, so that what it types is cut up as well.
	front := httptest.NewServer(choppy{b.api})
	t.Cleanup(front.Close)
	suffix := strings.TrimPrefix(b.baseURL(), "http://"+gateway(b.api.URL()))
	r := b.run(b.runArgs("--credentials", mode, "--allow-host", gateway(front.URL),
		"--env", b.baseVar()+"=http://"+gateway(front.URL)+suffix)...)
	r.want(t, 0)
	if left := b.api.Left(b.token); left > 0 {
		t.Errorf("%d turns were not played", left)
	}
	id := b.session()
	shown := b.run("logs", id)
	shown.want(t, 0)
	asJSON := b.run("logs", "--json", id)

	outputs := map[string][]byte{
		"--json": []byte(r.stdout), "stderr of run": []byte(r.stderr), "logs": []byte(shown.stdout + shown.stderr),
		"logs --json": []byte(asJSON.stdout + asJSON.stderr),
		"sessions ls": []byte(b.run("sessions", "ls").stdout), "sessions show": []byte(b.run("sessions", "show", id).stdout),
	}
	for name, data := range b.records(id) {
		outputs[name] = data
	}
	for name, data := range outputs {
		for what, secret := range map[string]string{"access": s.access, "refresh": s.refresh, "id": s.id} {
			if mode == "env" && what != "access" {
				continue
			}
			leaks(t, name, data, what, secret)
		}
	}
	if found := b.found(id, "refresh"); len(found) > 0 {
		t.Errorf("the refresh token is in the sandbox: %q", found)
	}
	if found := b.found(id, "access"); len(found) == 0 { // it was printed, so that transcripts have it at least
		t.Errorf("the search does not find what is there")
	}
	if after := b.stat(path); after != before {
		t.Errorf("the host's login file changed from %s to %s", before, after)
	}
	if !strings.Contains(b.read("token.txt"), s.access) {
		t.Errorf("the workspace was redacted too: %q", b.read("token.txt"))
	}
}

// search lets the agent look for secret in every file, without showing it: the
// command must be neither found nor redacted.
func search(what, secret string) modelapi.Turn {
	half := len(secret) / 2
	return modelapi.Shell(fmt.Sprintf("a=%s; b=%s; grep -rIl -e \"$a$b\" /home /run /tmp /etc /var /workspace /dev/shm 2>/dev/null; echo searched for %s",
		secret[:half], secret[half:], what))
}

// found returns the files that search found.
func (b *bundle) found(id, what string) []string {
	b.t.Helper()
	for _, f := range all[event.ToolFinished](b, id) {
		if files, ok := strings.CutSuffix(strings.TrimSpace(f.Output), "searched for "+what); ok {
			return strings.Fields(files)
		}
	}
	b.t.Errorf("nobody searched for the %s token", what)
	return nil
}

// stat describes a file so that any change shows; "" stands for no file.
func (b *bundle) stat(path string) string {
	b.t.Helper()
	if path == "" {
		return ""
	}
	info, err := os.Stat(path)
	if err != nil {
		b.t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		b.t.Fatal(err)
	}
	sys := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("inode %d, %s, %s, %x", sys.Ino, info.Mode(), info.ModTime(), data)
}

// records are the files of a session, without the agent's own home.
func (b *bundle) records(id string) map[string][]byte {
	b.t.Helper()
	files := map[string][]byte{}
	entries, err := os.ReadDir(b.store.Journal(id))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range entries {
		if e.Type().IsRegular() {
			data, err := os.ReadFile(filepath.Join(b.store.Journal(id), e.Name()))
			if err != nil {
				b.t.Fatal(err)
			}
			files[e.Name()] = data
		}
	}
	return files
}

// leaks fails the test if data shows secret: in an encoding, or in pieces that
// only have to be put together.
func leaks(t *testing.T, name string, data []byte, what, secret string) {
	t.Helper()
	if secret == "" {
		return
	}
	joined := []byte(pieces(data))
	forms := map[string]string{"plain": secret, "hex": hex.EncodeToString([]byte(secret)), "percent": percent(secret)}
	for shift := range 3 {
		text := base64.RawStdEncoding.EncodeToString([]byte("xx"[:shift] + secret))
		forms[fmt.Sprint("base64 at ", shift)] = text[4 : len(text)-4]
	}
	for form, text := range forms {
		// Fragments of fewer than 20 bytes are below what can be found.
		for at := 0; at+24 <= len(text); at += 4 {
			part := []byte(text[at : at+24])
			switch {
			case bytes.Contains(data, part):
				t.Errorf("%s shows the %s token, %s: …%s…", name, what, form, around(data, part))
			case bytes.Contains(joined, part):
				t.Errorf("%s shows the %s token in pieces, %s: …%s…", name, what, form, around(joined, part))
			default:
				continue
			}
			break
		}
	}
}

func around(data, part []byte) []byte {
	i := bytes.Index(data, part)
	return data[max(0, i-150):min(len(data), i+60)]
}

func percent(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02X", s[i])
	}
	return b.String()
}

// pieces puts together what follows each other under the same key of NDJSON:
// the pieces of a streamed text. White space goes, because wrapping adds it.
func pieces(data []byte) string {
	var keys []string
	texts := map[string]*strings.Builder{}
	var walk func(key string, v any)
	walk = func(key string, v any) {
		switch v := v.(type) {
		case string:
			if texts[key] == nil {
				texts[key] = &strings.Builder{}
				keys = append(keys, key)
			}
			texts[key].WriteString(strings.Join(strings.Fields(v), ""))
		case []any:
			for _, e := range v {
				walk(key, e)
			}
		case map[string]any:
			for k, e := range v {
				walk(key+"."+k, e)
			}
		}
	}
	for _, text := range bytes.Split(data, []byte("\n")) {
		var v map[string]any
		if json.Unmarshal(text, &v) == nil {
			kind, _ := v["type"].(string)
			walk(kind, v)
		}
	}
	var b strings.Builder
	for _, k := range keys {
		b.WriteString(texts[k].String())
		b.WriteByte('\n')
	}
	return b.String()
}

// choppy is the model API with what a tool is given sent in pieces of three
// bytes, as real models type it.
type choppy struct{ http.Handler }

func (c choppy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.Handler.ServeHTTP(&choppyWriter{ResponseWriter: w}, r)
}

type choppyWriter struct{ http.ResponseWriter }

func (w *choppyWriter) Flush() { w.ResponseWriter.(http.Flusher).Flush() }

// Write gets one event of the stream at a time.
func (w *choppyWriter) Write(p []byte) (int, error) {
	kind, data, ok := strings.Cut(string(p), "\ndata: ")
	var e struct {
		Type  string            `json:"type"`
		Index int               `json:"index"`
		Delta map[string]string `json:"delta"`
	}
	if !ok || json.Unmarshal([]byte(data), &e) != nil {
		return w.ResponseWriter.Write(p)
	}
	for _, field := range []string{"partial_json", "thinking"} {
		for text := e.Delta[field]; len(text) > 0; {
			n := min(3, len(text))
			e.Delta[field], text = text[:n], text[n:]
			piece, _ := json.Marshal(e)
			if _, err := fmt.Fprintf(w.ResponseWriter, "%s\ndata: %s\n\n", kind, piece); err != nil {
				return 0, err
			}
			if text == "" {
				return len(p), nil
			}
		}
	}
	return w.ResponseWriter.Write(p)
}

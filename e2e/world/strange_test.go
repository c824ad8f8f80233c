package world

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/store"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// stranger is a runner that is not ours: it says what the test wants.
type stranger struct {
	w      *World
	name   string
	secret string
}

func (w *World) stranger(name string) *stranger {
	w.Helper()
	secret, err := w.Plane.token(store.DeviceToken, name)
	if err != nil {
		w.Fatal(err)
	}
	return &stranger{w, name, secret}
}

// send sends bytes and returns status and answer.
func (s *stranger) send(method, path string, header map[string]string, body []byte) (int, string) {
	s.w.Helper()
	r, err := http.NewRequestWithContext(s.w.Context(), method, "http://127.0.0.1:1/api/v1/runner/"+path, bytes.NewReader(body))
	if err != nil {
		s.w.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.secret)
	for k, v := range header {
		r.Header.Set(k, v)
	}
	answer, err := s.w.way.RoundTrip(r)
	if err != nil {
		return 0, err.Error() // the server may close the connection of what is too large
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text)
}

// sync reports sessions, as JSON, with more fields.
func (s *stranger) sync(sessions, more string) (a api.SyncAnswer) {
	s.w.Helper()
	body := fmt.Sprintf(`{"runner":"id-%s","instance":"one","name":"%s","protocol":1,"capacity":1,"workspaces":[{"name":"%s"}],"agents":[{"kind":"claude","login":"ready"}],"health":{"ready":true},"wait_ms":1000,"sessions":[%s]%s}`,
		s.name, s.name, s.name, sessions, more)
	status, text := s.send("POST", "sync", map[string]string{"Content-Type": "application/json"}, []byte(body))
	if err := json.Unmarshal([]byte(text), &a); status != 200 || err != nil {
		s.w.Fatalf("sync: %d %s", status, text)
	}
	return a
}

func (s *stranger) upload(l api.Lease, first int, lines string) (int, string) {
	s.w.Helper()
	return s.send("POST", "sessions/"+l.Session+"/events", map[string]string{
		api.HeaderLease: strconv.FormatInt(l.Token, 10), api.HeaderFirst: strconv.Itoa(first), "Content-Type": "application/x-ndjson",
	}, []byte(strings.ReplaceAll(lines, "ID", l.Session)))
}

// take accepts the offer of a task of the stranger's own workspace.
func (s *stranger) take(more string) (string, api.Lease) {
	s.w.Helper()
	s.sync("", more)
	id := s.w.AddSpec(task.Spec{Prompt: "p", Title: s.name, Workspace: s.name})
	a := s.sync("", more)
	if len(a.Leases) != 1 {
		s.w.Fatalf("no lease: %+v", a)
	}
	l := a.Leases[0]
	s.sync(fmt.Sprintf(`{"id":%q,"token":%d,"state":"running"%s}`, l.Session, l.Token, more), more)
	return id, l
}

// TestOtherRunners: a runner of a newer version says more than this control plane knows, and an
// older one less. What they send is stored as it is, whatever their clocks say.
func TestOtherRunners(t *testing.T) {
	for name, test := range map[string]struct{ more, events string }{
		"newer": {`,"protocol":2,"version":"v9","future":{"a":[1]}`, strings.Join([]string{
			`{"v":2,"session":"ID","seq":1,"time":"2126-01-01T00:00:00.123456789Z","type":"dream.began","data":{"about":["sheep"]},"future":true}`,
			`{"v":1,"session":"ID","seq":2,"time":"1970-01-01T00:00:00Z","type":"message","data":{"role":"assistant","text":"hi","mood":"good"},"raw":{"x":1e400}}`,
			`{"v":1,"session":"ID","seq":3,"time":"2001-01-01T00:00:00Z","type":"session.finished","data":{"outcome":"succeeded","result":"r","future":1}}`,
		}, "\n")},
		"older": {"", strings.Join([]string{
			`{"session":"ID","seq":1,"time":"2000-01-01T00:00:00Z","type":"message"}`,
			`{"session":"ID","seq":2,"time":"2000-01-01T00:00:00Z","type":"turn.finished","data":null}`,
			`{"session":"ID","seq":3,"time":"2000-01-01T00:00:00Z","type":"session.finished","data":{"outcome":"succeeded"}}`,
		}, "\n")},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(w *World) {
				s := w.stranger(name)
				id, l := s.take(test.more)
				if status, text := s.upload(l, 1, test.events); status != 202 {
					w.Fatalf("upload: %d %s", status, text)
				}
				w.UntilFinished(event.Succeeded, id)
				if a := s.sync(fmt.Sprintf(`{"id":%q,"token":%d,"state":"finished"}`, l.Session, l.Token), test.more); !slices.Contains(a.Done, l.Session) {
					w.Errorf("the session is not done: %+v", a)
				}
				var want map[string]any
				lines := strings.Split(strings.ReplaceAll(test.events, "ID", l.Session), "\n")
				n := 0
				for e, err := range w.stored(l.Session).Events {
					if err != nil {
						w.Fatal(err)
					}
					want = nil
					if err := json.Unmarshal([]byte(lines[n]), &want); err != nil && name != "newer" {
						w.Fatal(err)
					}
					if !strings.Contains(lines[n], fmt.Sprintf(`"type":%q`, e.Type)) || !strings.Contains(lines[n], e.Time.Format(time.RFC3339Nano)) ||
						!strings.Contains(lines[n], string(e.Data)) || !strings.Contains(lines[n], string(e.Raw)) {
						w.Errorf("%s is stored as %+v", lines[n], e)
					}
					n++
				}
				if n != len(lines) {
					w.Errorf("%d events are stored", n)
				}
			})
		})
	}
}

// TestOtherControlPlanes: a newer one says more than this runner knows, and an older one less.
func TestOtherControlPlanes(t *testing.T) {
	more := func(r *http.Request, answer []byte) []byte {
		if is(r) != "sync" || !bytes.HasPrefix(answer, []byte("{")) {
			return answer
		}
		answer = bytes.ReplaceAll(answer, []byte(`"session":`), []byte(`"future":{"session":[1]},"session":`))
		return append([]byte(`{"future":["x",{}],`), bytes.Replace(answer[1:], []byte("}\n"), []byte(`}`), 1)...)
	}
	less := func(_ *http.Request, answer []byte) []byte {
		var a map[string]json.RawMessage
		if json.Unmarshal(answer, &a) != nil {
			return answer
		}
		for _, key := range []string{"renewed", "upload_ms"} {
			delete(a, key)
		}
		answer, _ = json.Marshal(a)
		return answer
	}
	for name, change := range map[string]func(*http.Request, []byte) []byte{"newer": more, "older": less} {
		t.Run(name, func(t *testing.T) {
			in(t, func(w *World) {
				m := w.Machine("nas")
				m.Way.Change(func(r *http.Request, b []byte) []byte {
					if b = change(r, b); name == "newer" && len(b) > 2 && bytes.HasSuffix(b, []byte(",}")) {
						b = append(b[:len(b)-2], '}')
					}
					return b
				})
				m.Start()
				w.Log(w.finishSome())
			})
		})
	}
}

// TestNonsense: a device with a token of its own sends nonsense, and tries what belongs to
// another's session. Each is refused, and that session is as if nothing had happened.
func TestNonsense(t *testing.T) {
	in(t, func(w *World) {
		w.Machine("nas").Start()
		id := w.Add(Order{Name: "undisturbed", Lines: 300, Pause: 100 * time.Millisecond})
		w.Until("it prints", func() bool { return w.Session(id).LastSeq > 20 })
		victim := w.Session(id)
		s := w.stranger("evil")
		own, l := s.take("")
		line := `{"v":1,"session":"ID","seq":1,"time":"2026-01-01T00:00:00Z","type":"message"}`
		z, _ := zstd.NewWriter(nil)
		bomb := z.EncodeAll(bytes.Repeat([]byte{'\n'}, 64<<20), nil)
		deep := `{"v":1,"session":"ID","seq":1,"time":"2026-01-01T00:00:00Z","type":"message","data":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`
		refused := 0
		refuse := func(what string, status int, text string) {
			if status != 0 && (status < 400 || status >= 500) {
				w.Errorf("%s: %d %.300s", what, status, text)
			}
			refused++
		}
		for what, body := range map[string]string{
			"nothing": "", "no JSON": "{", "a number": "7", "binary": "\xff\x00\xfe", "another number": strings.Replace(line, `"seq":1`, `"seq":2`, 1),
			"number 0": strings.Replace(line, `"seq":1`, `"seq":0`, 1), "a huge number": strings.Replace(line, `"seq":1`, `"seq":99999999999999999999`, 1),
			"a negative number": strings.Replace(line, `"seq":1`, `"seq":-1`, 1), "another session": strings.Replace(line, "ID", victim.ID, 1),
			"no time": strings.Replace(line, `"time":"2026-01-01T00:00:00Z",`, "", 1), "no type": strings.Replace(line, "message", "", 1),
			"invalid UTF-8": strings.Replace(line, "message", "m\xff", 1), "5 MB": strings.Replace(line, `"message"`, `"message","data":"`+strings.Repeat("x", 5<<20)+`"`, 1),
			"deep": deep, "an artifact outside": strings.Replace(line, `"message"`, `"message","raw_ref":{"artifact":"../../etc/passwd","bytes":1,"sha256":"00"}`, 1),
		} {
			status, text := s.upload(l, 1, body)
			refuse(what, status, text)
		}
		gap, _ := s.upload(l, 2, strings.Replace(line, `"seq":1`, `"seq":2`, 1))
		refuse("a gap", gap, "")
		events := "sessions/" + victim.ID + "/events"
		lease := map[string]string{api.HeaderLease: "1", api.HeaderFirst: "1"}
		for _, token := range []string{"1", "2", "3", "-1", "x", ""} {
			lease[api.HeaderLease] = token
			status, text := s.send("POST", events, lease, []byte(strings.Replace(line, "ID", victim.ID, 1)))
			refuse("events of another runner's session with token "+token, status, text)
			status, text = s.send("PUT", "sessions/"+victim.ID+"/artifacts/raw-3", map[string]string{
				api.HeaderLease: token, api.HeaderSHA256: strings.Repeat("0", 64), "Content-Range": "bytes 0-0/1"}, []byte("x"))
			refuse("an artifact of another runner's session", status, text)
		}
		lease[api.HeaderLease] = strconv.FormatInt(l.Token, 10)
		lease["Content-Encoding"] = "zstd"
		status, text := s.send("POST", "sessions/"+l.Session+"/events", lease, bomb)
		refuse("64 MB in a few bytes", status, text)
		for what, body := range map[string]string{
			"no JSON": "{", "binary": "\xff", "another runner": `{"runner":"` + victim.Runner + `","instance":"x","name":"nas","protocol":1,"capacity":9,"health":{"ready":true}}`,
			"less than nothing": `{"runner":"id-evil","instance":"one","name":"evil","protocol":1,"capacity":-1}`,
			"protocol 0":        `{"runner":"id-evil","instance":"one","name":"evil","protocol":0,"capacity":1}`,
			"2 MB":              `{"runner":"id-evil","instance":"one","protocol":1,"name":"` + strings.Repeat("x", 2<<20) + `"}`,
		} {
			status, text := s.send("POST", "sync", map[string]string{"Content-Type": "application/json"}, []byte(body))
			refuse("sync: "+what, status, text)
		}
		for _, state := range []string{"finished", "declined", "returned", "running", "unheard of"} {
			s.sync(fmt.Sprintf(`{"id":%q,"token":1,"state":%q,"reason":"mine now"}`, victim.ID, state), "")
		}
		w.UntilFinished(event.Succeeded, id)
		if _, err := w.People.CancelTask(w.Context(), own); err != nil {
			w.Error(err)
		}
		if _, all := w.Task(id); len(all) != 1 {
			w.Errorf("%d sessions", len(all))
		}
		if err := w.checkOne(id); err != nil {
			w.Error(err)
		}
		w.Logf("%d requests were refused", refused)
	})
}

// checkOne is Check of one task.
func (w *World) checkOne(id string) error {
	t, _ := w.Task(id)
	_, err := w.checkTask(t)
	return err
}

// TestHostileTasks: tasks that ask for what nobody may have are refused, declined or wait, and
// say why. Others are done meanwhile.
func TestHostileTasks(t *testing.T) {
	in(t, func(w *World) {
		w.Machine("nas").Start()
		spec := func(change func(*task.Spec)) task.Spec {
			o := Order{Name: "hostile", Lines: 1}
			s := task.Spec{Title: o.Name, Prompt: o.Prompt()}
			change(&s)
			return s
		}
		later := time.Now().Add(time.Minute)
		var all []string
		refused := 0
		for what, change := range map[string]func(*task.Spec){
			"a path":             func(s *task.Spec) { s.Workspace = "../../etc" },
			"an absolute path":   func(s *task.Spec) { s.Workspace = "/etc" },
			"a name of two":      func(s *task.Spec) { s.Workspace = "shop\n/etc" },
			"an image":           func(s *task.Spec) { s.Image = "evil.example/x:latest" },
			"a variable":         func(s *task.Spec) { s.Env = []string{"LD_PRELOAD=/tmp/x.so"} },
			"a secret":           func(s *task.Spec) { s.Env = []string{"ANTHROPIC_API_KEY"} },
			"every host":         func(s *task.Spec) { s.AllowHosts = []string{"*"} },
			"an address":         func(s *task.Spec) { s.AllowHosts = []string{"169.254.169.254"} },
			"an account":         func(s *task.Spec) { s.Account = "../default" },
			"an agent":           func(s *task.Spec) { s.Agent = "sh" },
			"half of a year":     func(s *task.Spec) { s.TimeoutMS = 180 * 24 * 3600 * 1000 },
			"less than nothing":  func(s *task.Spec) { s.MaxTurns = -1 },
			"a prompt of 5 MB":   func(s *task.Spec) { s.Prompt = strings.Repeat("x", 5<<20) },
			"nothing":            func(s *task.Spec) { s.Prompt = " \n" },
			"a label":            func(s *task.Spec) { s.Labels = []string{"\x00"} },
			"a past deadline":    func(s *task.Spec) { past := time.Now().Add(-time.Hour); s.Deadline = &past },
			"a thousand tries":   func(s *task.Spec) { s.MaxAttempts = 1000 },
			"a strange runner":   func(s *task.Spec) { s.Runner, s.Deadline = "nobody", &later },
			"a label of nobody":  func(s *task.Spec) { s.Labels, s.Deadline = []string{"gpu"}, &later },
			"permissions":        func(s *task.Spec) { s.Permissions = "everything" },
			"a title with codes": func(s *task.Spec) { s.Title = "\x1b]0;x\x07" },
		} {
			made, err := w.People.AddTask(w.Context(), spec(change), "")
			if err != nil {
				refused++
				continue
			}
			time.Sleep(30 * time.Second)
			now, err := w.People.Task(w.Context(), made.ID)
			if err != nil {
				w.Fatal(err)
			}
			if now.Outcome == event.Succeeded && what != "a title with codes" {
				w.Errorf("%s: the task was done", what)
			}
			if now.State == task.Queued && now.Why == "" {
				w.Errorf("%s: the task waits and does not say why", what)
			}
			w.Logf("%s: %s %s %s%s", what, now.State, now.Outcome, now.Why, now.Reason)
			all = append(all, made.ID)
		}
		good := w.Add(Order{Name: "good", Lines: 10})
		w.UntilFinished(event.Succeeded, good)
		for _, id := range all {
			if now, _ := w.Task(id); now.State != task.Finished {
				if _, err := w.People.CancelTask(w.Context(), id); err != nil {
					w.Error(err)
				}
			}
			w.UntilState(task.Finished, id)
		}
		w.Logf("%d were refused, %d taken in", refused, len(all))
		if err := w.checkOne(good); err != nil {
			w.Error(err)
		}
	})
}

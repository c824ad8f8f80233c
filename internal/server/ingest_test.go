package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/store"
)

func TestIngest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.session()
	if a := b.upload(s, 1, batch(s.id, 1, 3)); a != (api.Acked{Acked: 3, UploadMS: 10}) {
		t.Errorf("%+v", a)
	}
	if a := b.upload(s, 2, batch(s.id, 2, 5)); a.Acked != 5 {
		t.Errorf("%+v", a)
	}
	post := func(code api.Code, body string, lease, first string) api.ErrorBody {
		t.Helper()
		return b.refused(code, "POST", "/api/v1/runner/sessions/"+s.id+"/events", b.device, body, "Content-Type", "application/x-ndjson",
			api.HeaderLease, lease, api.HeaderFirst, first)
	}
	if e := post(api.CodeGap, batch(s.id, 8, 9), s.token, "8"); e.Acked == nil || *e.Acked != 5 {
		t.Errorf("%+v", e)
	}
	good := batch(s.id, 6, 6)
	post(api.CodeFenced, good, "999", "6")
	post(api.CodeInvalid, good, s.token, "7")
	post(api.CodeInvalid, good, "", "6")
	post(api.CodeInvalid, good, s.token, "0")
	post(api.CodeInvalid, batch("other", 6, 6), s.token, "6")
	post(api.CodeInvalid, "", s.token, "6")
	post(api.CodeInvalid, "\n\n", s.token, "6")
	post(api.CodeInvalid, good+good, s.token, "6")
	post(api.CodeInvalid, strings.Replace(good, `"message"`, `""`, 1), s.token, "6")
	if e := post(api.CodeInvalid, good+"nonsense\n", s.token, "6"); !strings.Contains(e.Error.Message, "line 2") {
		t.Errorf("%+v", e)
	}
	if e := post(api.CodeInvalid, strings.Replace(good, "hello", "\xff", 1), s.token, "6"); !strings.Contains(e.Error.Message, "UTF-8") {
		t.Errorf("%+v", e)
	}
	post(api.CodeTooLarge, strings.Repeat("x", api.BatchMax+1), s.token, "6")
	if a := b.upload(s, 6, strings.Replace(good, `"message"`, `"a.newer.type"`, 1)); a.Acked != 6 {
		t.Errorf("%+v", a)
	}
	if b.s.uploads.left != uploadsMax {
		t.Errorf("%d bytes were not given back", uploadsMax-b.s.uploads.left)
	}
}

func compress(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(z, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestIngestCompressed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.session()
	path := "/api/v1/runner/sessions/" + s.id + "/events"
	header := []string{"Content-Type", "application/x-ndjson", "Content-Encoding", "zstd", api.HeaderLease, s.token, api.HeaderFirst, "1"}
	var a api.Acked
	b.do(202, "POST", path, b.device, compress(t, []byte(batch(s.id, 1, 500))), &a, header...)
	if a.Acked != 500 {
		t.Errorf("%+v", a)
	}
	bomb := compress(t, bytes.Repeat([]byte(" "), 64<<20))
	b.refused(api.CodeTooLarge, "POST", path, b.device, bomb, header...)
	b.refused(api.CodeInvalid, "POST", path, b.device, bomb[:len(bomb)/2][:50], header...)
	b.refused(api.CodeInvalid, "POST", path, b.device, "no zstd", header...)
	header[3] = "br"
	b.refused(api.CodeInvalid, "POST", path, b.device, "x", header...)
	if b.s.uploads.left != uploadsMax {
		t.Errorf("%d bytes were not given back", uploadsMax-b.s.uploads.left)
	}
}

func TestTooManyUploads(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.session()
	b.s.uploads.take(uploadsMax - 10)
	e := b.refused(api.CodeTooMany, "POST", "/api/v1/runner/sessions/"+s.id+"/events", b.device, batch(s.id, 1, 3),
		"Content-Type", "application/x-ndjson", api.HeaderLease, s.token, api.HeaderFirst, "1")
	if e.Error.RetryAfterMS != 1000 {
		t.Errorf("%+v", e)
	}
	b.s.uploads.give(uploadsMax - 10)
	b.refused(api.CodeTooMany, "POST", "/api/v1/runner/sessions/"+s.id+"/events", b.device, strings.Repeat("\n", 1<<20),
		"Content-Type", "application/x-ndjson", api.HeaderLease, s.token, api.HeaderFirst, "1") // each line costs more than its byte
	b.upload(s, 1, batch(s.id, 1, 3))
}

func TestArtifacts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.session()
	data := []byte(strings.Repeat("0123456789", 10))
	sum := sha256.Sum256(data)
	path := "/api/v1/runner/sessions/" + s.id + "/artifacts/raw-7"
	header := func(span string) []string {
		h := []string{"Content-Type", "application/octet-stream", api.HeaderLease, s.token, api.HeaderSHA256, hex.EncodeToString(sum[:])}
		if span != "" {
			h = append(h, "Content-Range", span)
		}
		return h
	}
	var a api.Artifact
	b.refused(api.CodeNotFound, "GET", path, b.device, nil)
	b.do(200, "PUT", path, b.device, data[:40], &a, header("bytes 0-39/100")...)
	if a.Received != 40 || a.Complete {
		t.Errorf("%+v", a)
	}
	b.do(200, "GET", path, b.device, nil, &a)
	if a.Received != 40 || a.Size != 100 || a.Name != "raw-7" {
		t.Errorf("%+v", a)
	}
	b.refused(api.CodeConflict, "PUT", path, b.device, data[50:], header("bytes 50-99/100")...)
	b.do(200, "PUT", path, b.device, data[40:], &a, header("bytes 40-99/100")...)
	if !a.Complete {
		t.Errorf("%+v", a)
	}
	people := "/api/v1/sessions/" + s.id + "/artifacts/raw-7"
	resp := b.request("GET", people, b.person, nil)
	got, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if !bytes.Equal(got, data) || resp.Header.Get("Content-Disposition") == "" {
		t.Errorf("%s %v", got, resp.Header)
	}
	for _, span := range []string{"bytes 0-39/100", "bytes 5-1/100", "bytes 0-100/100", "bytes */100", "0-99/100", "bytes 0-99/*"} {
		if span != "bytes 0-39/100" {
			b.refused(api.CodeInvalid, "PUT", path+"x", b.device, data, header(span)...)
		}
	}
	b.refused(api.CodeInvalid, "PUT", path+"x", b.device, data, api.HeaderLease, s.token)
	b.refused(api.CodeInvalid, "PUT", "/api/v1/runner/sessions/"+s.id+"/artifacts/..%2fx", b.device, data, header("")...)
	b.refused(api.CodeFenced, "PUT", path+"y", b.device, data, api.HeaderLease, "999", api.HeaderSHA256, hex.EncodeToString(sum[:]))
	b.refused(api.CodeTooLarge, "PUT", path+"z", b.device, data, header("bytes 0-99/999999999999")...)
}

// A runner's token is good for its own sessions only.
func TestOtherRunnersSessions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.session()
	other := b.issue(store.DeviceToken, "", "other")
	upload := func(code api.Code) {
		t.Helper()
		b.refused(code, "POST", "/api/v1/runner/sessions/"+s.id+"/events", other.Secret, batch(s.id, 1, 1),
			"Content-Type", "application/x-ndjson", api.HeaderLease, s.token, api.HeaderFirst, "1")
		b.refused(code, "PUT", "/api/v1/runner/sessions/"+s.id+"/artifacts/raw-1", other.Secret, "x",
			"Content-Type", "application/octet-stream", api.HeaderLease, s.token, api.HeaderSHA256, strings.Repeat("a", 64))
		b.refused(api.CodeNotFound, "GET", "/api/v1/runner/sessions/"+s.id+"/artifacts/raw-1", other.Secret, nil)
	}
	upload(api.CodeNotFound) // a runner that never connected
	if err := b.store.SaveRunner(t.Context(), api.Runner{ID: "r2", Name: "other", Device: other.ID, SeenAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	upload(api.CodeNotFound)
	b.upload(s, 1, batch(s.id, 1, 1))
}

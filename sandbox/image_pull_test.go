package sandbox

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// The texts are what engines and registries said when these things happened.
func TestExplainPull(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"manifest for localhost:5000/x:2 not found: manifest unknown":                               "no such image or tag",
		`Head "http://127.0.0.1:5000/v2/x/manifests/1": no basic auth credentials`:                  "docker login reg:5000",
		"pull access denied for x, repository does not exist or may require 'docker login': denied": "docker login reg:5000",
		`Get "http://127.0.0.1:5999/v2/": dial tcp 127.0.0.1:5999: connect: connection refused`:     "cannot be reached",
		`Get "https://nowhere.example/v2/": dial tcp: lookup nowhere.example: no such host`:         "there is no registry reg:5000",
		"no matching manifest for linux/amd64 in the manifest list entries":                         "no variant for this engine",
		"toomanyrequests: You have reached your pull rate limit":                                    "toomanyrequests",
	} {
		cause := errors.New(text)
		err := explainPull("reg:5000", cause)
		if !strings.Contains(err.Error(), want) || !errors.Is(err, cause) || strings.Contains(err.Error(), "%!") {
			t.Errorf("%q is explained as %q, want %q in it", text, err, want)
		}
	}
}

func TestReadPull(t *testing.T) {
	t.Parallel()
	const stream = `{"status":"Pulling from x","id":"1"}
{"status":"Downloading","progressDetail":{"current":1000000,"total":9000000},"id":"a"}
{"status":"Downloading","progressDetail":{"current":1000001,"total":9000000},"id":"a"}
no JSON
{"status":"Downloading","progressDetail":{"current":5000000,"total":6000000},"id":"b"}
{"status":"Extracting","progressDetail":{"current":1,"total":9000000},"id":"a"}
`
	var lines []string
	err := readPull(iotest.OneByteReader(strings.NewReader(stream)), func(s string) { lines = append(lines, s) })
	if want := []string{"downloaded 1 of 9 MB", "downloaded 6 of 15 MB"}; err != nil || !slices.Equal(lines, want) {
		t.Errorf("%q, %v; want %q", lines, err, want)
	}
	err = readPull(strings.NewReader(stream+`{"error":"disk full"}`), func(string) {})
	if err == nil || err.Error() != "disk full" {
		t.Errorf("error %v", err)
	}
}

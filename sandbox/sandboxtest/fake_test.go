package sandboxtest_test

import (
	"testing"

	"github.com/sprawlto/ratchetai-runner/sandbox/sandboxtest"
)

func TestFakeConformance(t *testing.T) {
	sandboxtest.Conformance(t, func(*testing.T) sandboxtest.Harness {
		return sandboxtest.Harness{
			Engine: &sandboxtest.Fake{
				Programs: map[string]sandboxtest.Program{"probe": sandboxtest.Run},
				Images:   []string{"image"},
			},
			Image: "image", Probe: "probe", User: "1:1",
		}
	})
}

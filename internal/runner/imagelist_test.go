package runner

import (
	"slices"
	"testing"

	"github.com/sprawlto/ratchetai-runner/sandbox"
)

func TestRemovable(t *testing.T) {
	t.Parallel()
	image := func(tag, from string, current bool, sessions ...string) BuiltImage {
		return BuiltImage{Tag: tag, Current: current, Sessions: sessions, image: sandbox.Image{Labels: map[string]string{labelFrom: from}}}
	}
	list := []BuiltImage{
		image("now", "agents-now", true),
		image("old", "agents-old", false),
		image("used", "copy-used", false, "s1"),
		image("copy-used", "agents-used", false),
		image("agents-now", "tools", true),
		image("agents-old", "tools-old", false),
		image("agents-used", "tools", false),
		image("tools", "", true),
		image("tools-old", "", false),
	}
	for all, want := range map[bool][]string{
		false: {"old", "agents-old", "tools-old"},
		true:  {"now", "old", "agents-now", "agents-old", "tools-old"},
	} {
		var got []string
		for _, i := range Removable(list, all) {
			got = append(got, i.Tag)
		}
		if !slices.Equal(got, want) {
			t.Errorf("all %v: %v, want %v", all, got, want)
		}
	}
}

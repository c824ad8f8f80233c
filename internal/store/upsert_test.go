package store

import (
	"testing"

	"github.com/sprawlto/ratchetai-runner/internal/api"
)

// What is written under a key that exists replaces what was there.
func TestWriteTwice(t *testing.T) {
	t.Parallel()
	s := open(t)
	device := must(s.AddToken(t.Context(), DeviceToken, "alice", api.NewToken{Name: "nas"}, [32]byte{1}, noon))
	for _, name := range []string{"alice", "bob"} {
		if err := s.SetOwner(t.Context(), name, "hash"); err != nil {
			t.Error(err)
		}
		if got, _, err := s.Owner(t.Context()); err != nil || got != name {
			t.Errorf("owner %q, %v", got, err)
		}
		if err := s.SaveRunner(t.Context(), api.Runner{ID: "r1", Name: name, Device: device.ID}); err != nil {
			t.Error(err)
		}
		if all, err := s.Runners(t.Context()); err != nil || len(all) != 1 || all[0].Name != name {
			t.Errorf("runners %+v, %v", all, err)
		}
	}
}

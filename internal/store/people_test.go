package store

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/internal/api"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

func TestOwner(t *testing.T) {
	t.Parallel()
	s := open(t)
	if _, _, err := s.Owner(t.Context()); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	for _, hash := range []string{"one", "two"} {
		if err := s.SetOwner(t.Context(), "alice", hash); err != nil {
			t.Fatal(err)
		}
		if name, got, err := s.Owner(t.Context()); err != nil || name != "alice" || got != hash {
			t.Error(name, got, err)
		}
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	expires := noon.Add(time.Hour)
	device := must(s.AddToken(ctx, DeviceToken, "", api.NewToken{Name: "nas", Labels: []string{"gpu"}}, [32]byte{1}, noon))
	must(s.AddToken(ctx, PersonalToken, "alice", api.NewToken{Name: "laptop", ExpiresAt: &expires}, [32]byte{2}, noon))
	if _, err := s.AddToken(ctx, DeviceToken, "", api.NewToken{}, [32]byte{1}, noon); err == nil {
		t.Error("one secret twice")
	}
	got := must(s.Lookup(ctx, [32]byte{1}, noon))
	if d := cmp.Diff(Caller{Token: device.ID, Kind: DeviceToken, Name: "nas", Labels: []string{"gpu"}}, got); d != "" {
		t.Error(d)
	}
	if err := s.SaveRunner(ctx, api.Runner{ID: "runner-1", Name: "nas", Device: device.ID, SeenAt: noon}); err != nil {
		t.Fatal(err)
	}
	if got := must(s.Lookup(ctx, [32]byte{1}, noon.Add(59*time.Second))); got.Runner != "runner-1" {
		t.Errorf("%+v", got)
	}
	used := func() time.Time { return *must(s.Tokens(ctx, DeviceToken))[0].UsedAt }
	if !used().Equal(noon) {
		t.Error("used at", used())
	}
	must(s.Lookup(ctx, [32]byte{1}, noon.Add(time.Minute)))
	if !used().Equal(noon.Add(time.Minute)) {
		t.Error("used at", used())
	}
	if got := must(s.Lookup(ctx, [32]byte{2}, expires.Add(-1))); got.Kind != PersonalToken || got.User != "alice" {
		t.Errorf("%+v", got)
	}
	for _, c := range []struct {
		sum [32]byte
		at  time.Time
	}{{[32]byte{2}, expires}, {[32]byte{3}, noon}} {
		if _, err := s.Lookup(ctx, c.sum, c.at); !errors.Is(err, ErrNotFound) {
			t.Error(c.sum[0], err)
		}
	}
	for _, id := range []string{"laptop", "%", "", "____", "%%%%"} { // laptop is another kind
		if _, err := s.RevokeToken(ctx, DeviceToken, id, noon); !errors.Is(err, ErrNotFound) {
			t.Error(id, err)
		}
	}
	if got := must(s.RevokeToken(ctx, DeviceToken, "nas", noon)); got.ID != device.ID || got.RevokedAt == nil {
		t.Errorf("%+v", got)
	}
	if _, err := s.Lookup(ctx, [32]byte{1}, noon); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	again := must(s.AddToken(ctx, DeviceToken, "", api.NewToken{Name: "nas"}, [32]byte{4}, noon))
	if got := must(s.RevokeToken(ctx, DeviceToken, again.ID[28:], noon)); got.ID != again.ID {
		t.Errorf("%+v", got)
	}
}

func TestRunners(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	device := func(n byte) string {
		return must(s.AddToken(ctx, DeviceToken, "", api.NewToken{Name: "d"}, [32]byte{n}, noon)).ID
	}
	one, two := device(1), device(2)
	r := api.Runner{ID: "runner-1", Name: "nas", Device: one, Capacity: 2, SeenAt: noon, Workspaces: []api.Workspace{{Name: "shop"}}, Connected: true}
	if err := s.SaveRunner(ctx, r); err != nil {
		t.Fatal(err)
	}
	r.Capacity = 3
	if err := s.SaveRunner(ctx, r); err != nil {
		t.Fatal(err)
	}
	other := r
	other.ID = "runner-2"
	if err := s.SaveRunner(ctx, other); !errors.Is(err, ErrConflict) {
		t.Error("a device of two runners:", err)
	}
	other = r
	other.Device = two
	if err := s.SaveRunner(ctx, other); !errors.Is(err, ErrConflict) {
		t.Error("a device takes another one's runner over:", err)
	}
	r.Connected = false
	if d := cmp.Diff([]api.Runner{r}, must(s.Runners(ctx))); d != "" {
		t.Error(d)
	}
	must(s.RevokeToken(ctx, DeviceToken, one, noon))
	if err := s.SaveRunner(ctx, other); err != nil {
		t.Error("a new token after the old one was revoked:", err)
	}
	h := running(t, s, task.Spec{})
	if err := s.RemoveRunner(ctx, r.ID); !errors.Is(err, ErrConflict) {
		t.Error(err)
	}
	must(s.EndSession(ctx, h.Session, task.Gone, "lost", "away", noon))
	if err := s.RemoveRunner(ctx, r.ID); err != nil {
		t.Error(err)
	}
	if err := s.RemoveRunner(ctx, r.ID); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

func TestAudit(t *testing.T) {
	t.Parallel()
	s := open(t)
	var want []api.AuditEntry
	for i := range int64(5) {
		e := api.AuditEntry{ID: i + 1, Time: noon, Actor: "owner alice", Action: "task.create", Target: "t", Detail: "d", From: "127.0.0.1"}
		if err := s.Record(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		want = append([]api.AuditEntry{e}, want...)
	}
	var got []api.AuditEntry
	for before := ""; ; {
		page, next, err := s.AuditLog(t.Context(), before, 2)
		if err != nil {
			t.Fatal(err)
		}
		if got, before = append(got, page...), next; next == "" {
			break
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if _, _, err := s.AuditLog(t.Context(), "x", 0); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

package main

import "testing"

func TestSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]size{"1": 1, "4GiB": 4 << 30, "512m": 512 << 20, "1g": 1 << 30, "2kb": 2 << 10, "1TiB": 1 << 40} {
		var got size
		if err := got.Set(text); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
		var again size
		if err := again.Set(got.String()); err != nil || again != got {
			t.Errorf("%s is shown as %s: %v", text, got.String(), err)
		}
	}
	for _, text := range []string{"", "-1", "1.5G", "G", "1 GiB", "1PiB", "9999999999", "2000T", "i"} {
		var got size
		if err := got.Set(text); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
}

func TestDollars(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]dollars{"1": 1_000_000, "$2.50": 2_500_000, "0.000001": 1, "0": 0, "10.5": 10_500_000} {
		var got dollars
		if err := got.Set(text); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
		var again dollars
		if err := again.Set(got.String()); err != nil || again != got {
			t.Errorf("%s is shown as %s: %v", text, got.String(), err)
		}
	}
	for _, text := range []string{"", "-1", "1e3", ".5", "1.", "1,50", "0.0000001", "99999999999", "NaN"} {
		var got dollars
		if err := got.Set(text); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
}

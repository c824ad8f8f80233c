package agent

import (
	"strings"
	"testing"
)

func TestDiffHoldsWholeLines(t *testing.T) {
	t.Parallel()
	if got, want := wholeDiff("+", "a\nb"), "+a\n+b"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	long := wholeDiff("-", strings.Repeat("a line\n", diffMax))
	if len(long) > diffMax || len(long) < diffMax-10 || !strings.HasSuffix(long, "\n-a line") {
		t.Errorf("%d bytes that end in %q", len(long), long[len(long)-10:])
	}
	if got := wholeDiff("+", strings.Repeat("x", diffMax+1)); got != "" {
		t.Errorf("half a line: %d bytes", len(got))
	}
}

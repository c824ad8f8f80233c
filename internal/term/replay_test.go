package term

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// recordedEvent finds events in the adapters' golden files, which say what became
// of each line that a real agent printed.
var recordedEvent = regexp.MustCompile(`^(?:\s+([a-z.]+) (\{.*\})|\{"n":\d+,"type":"([a-z.]+)","data":(\{.*\})\})$`)

// recorded returns the events of one recording of a real agent, a second apart.
func recorded(t *testing.T, file string) []moment {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var script []moment
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		m := recordedEvent.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		d, err := event.Decode(event.Type(m[1]+m[3]), []byte(m[2]+m[4]))
		if err != nil {
			t.Fatalf("%s: %v in %s", file, err, lines.Text())
		}
		script = append(script, moment{time.Second, d})
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return script
}

// Whatever a real agent did can be shown, at any width, with the same screen
// whether a status line was there or not.
func TestRecordings(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../agent/testdata/*/*.golden")
	more, err2 := filepath.Glob("../agent/testdata/recorded/*/*.golden")
	files = append(files, more...)
	if err != nil || err2 != nil || len(more) == 0 || len(files) < 50 {
		t.Fatalf("%d recordings: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			script := recorded(t, file)
			for _, width := range []int{20, 40, 80, 200} {
				o := terminal(width, true)
				var live, dead strings.Builder
				play(o, script, &live)
				o.Live = false
				play(o, script, &dead)
				if diff := cmp.Diff(screen(t, dead.String(), width), screen(t, live.String(), width)); diff != "" {
					t.Fatalf("%d cells (-without +with a status line):\n%s", width, diff)
				}
			}
		})
	}
}

func TestRecordingGolden(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{"claude": "claude/state-edit", "codex": "codex/patch"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script := recorded(t, filepath.Join("../agent/testdata", file+".golden"))
			if len(script) < 20 {
				t.Fatalf("%d events", len(script))
			}
			var out strings.Builder
			play(terminal(80, true), script, &out)
			golden(t, "recording-"+name+".screen", screen(t, out.String(), 80))
		})
	}
}

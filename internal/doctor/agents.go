package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sprawlto/ratchetai-runner/images"
	"github.com/sprawlto/ratchetai-runner/internal/credential"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
)

// soon is from when on the end of a login is worth a warning.
const soon = time.Hour

// logins looks at the login of each agent. Having one of them is enough.
func logins(_ context.Context, o Options) []Finding {
	var all []Finding
	have := 0
	for _, kind := range []string{credential.Claude, credential.Codex} {
		src, err := runner.Accounts(o.State).Choose(kind, "", "", o.Getenv, o.Home)
		if errors.Is(err, credential.ErrExpired) && credential.Describe(src, nil).Renewable {
			err = nil
		}
		if err == nil {
			have++
		}
		all = append(all, judgeLogin(kind, src, err, o.Now()))
	}
	for i, f := range all {
		if have == 0 && f.Level == Warn {
			all[i].Level = Fail
		}
	}
	return all
}

// judgeLogin makes a finding of what Accounts.Choose returned. Its errors end in
// what to do.
func judgeLogin(kind string, src credential.Source, err error, now time.Time) Finding {
	f := Finding{Check: "login " + kind, Level: OK}
	if err != nil {
		f.Level = Fail
		if errors.Is(err, credential.ErrNoLogin) {
			f.Level = Warn
		}
		f.What, f.Remedy = err.Error(), "see the message"
		if i := strings.LastIndex(f.What, "; "); i > 0 {
			f.What, f.Remedy = f.What[:i], f.What[i+2:]
		}
		return f
	}
	_, f.What, _ = strings.Cut(src.Describe(), ": ")
	ends, err := src.Expires()
	switch {
	case err != nil:
		f.Level, f.What, f.Remedy = Fail, err.Error(), "log in again"
	case ends.IsZero():
		f.What += ", without an end that is known"
	case credential.Describe(src, nil).Renewable:
		f.What += ", renewed when sessions need it"
	default:
		f.What += fmt.Sprintf(", until %s", ends.Local().Format("Jan 2, 15:04"))
		if left := ends.Sub(now); left < soon {
			f.Level = Warn
			f.What += fmt.Sprintf(", in %d minutes", int(left.Minutes()))
			f.Remedy = fmt.Sprintf("start `%s` once on this machine, which renews it", kind)
		}
	}
	return f
}

// versions compares the versions of the agents that images get with the pinned
// ones, with which the adapters are tested.
func versions(_ context.Context, o Options) []Finding {
	f := Finding{Check: "agents", Level: OK}
	var parts []string
	for _, a := range []struct {
		name, want, pinned string
	}{{"claude", o.Builder.ClaudeVersion, images.Claude().Version}, {"codex", o.Builder.CodexVersion, images.Codex().Version}} {
		if a.want == "" || a.want == a.pinned {
			parts = append(parts, a.name+" "+a.pinned)
			continue
		}
		parts = append(parts, fmt.Sprintf("%s %s instead of %s", a.name, a.want, a.pinned))
		f.Level = Warn
		f.Remedy = "unset RATCHETAI_CLAUDE_VERSION and RATCHETAI_CODEX_VERSION: other versions have no pinned hash and are not tested"
	}
	f.What = strings.Join(parts, ", ")
	return []Finding{f}
}

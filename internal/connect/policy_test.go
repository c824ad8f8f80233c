package connect

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/permission"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/internal/task"
)

// owner allows some, and not all.
func owner() *Config {
	return &Config{
		Workspaces: []Workspace{{Name: "shop", Dir: "/shop", Default: true}, {Name: "blog", Dir: "/blog"}},
		Task: func(name string, kind agent.Kind) (runner.Task, error) {
			return runner.Task{
				Workspace: "/" + name, Kind: kind, Allow: []string{"packages", "*.example.com"}, Env: []string{"CI=1"}, Account: "work",
				Timeout: time.Hour, Budget: runner.Budget{CostMicroUSD: 2e6, Tokens: 1000}, From: runner.Image{Ref: "mine:1"},
			}, nil
		},
		OrphanAfter: time.Hour,
		Bounds: Bounds{
			Images: []string{"node:22", "ghcr.io/acme/*"}, Env: []string{"STAGE", "SECRET"}, Accounts: []string{"spare"},
			Lookup: func(k string) (string, bool) { return "own", k == "SECRET" },
		},
	}
}

func TestTasksAreDeclined(t *testing.T) {
	t.Parallel()
	for want, spec := range map[string]task.Spec{
		`has no workspace "../etc"`:                                    {Workspace: "../etc"},
		`has no workspace "/shop"`:                                     {Workspace: "/shop"},
		"does not allow the image evil":                                {Image: "evil"},
		"does not allow the image ghcr.io/acmeevil/x":                  {Image: "ghcr.io/acmeevil/x"},
		"does not allow to reach evil.org":                             {AllowHosts: []string{"a.example.com", "evil.org"}},
		"does not allow to set the variable ANTHROPIC_BASE_URL":        {Env: []string{"ANTHROPIC_BASE_URL=http://evil.org"}},
		"does not allow to set the variable CI":                        {Env: []string{"CI=2"}},
		"has no variable STAGE":                                        {Env: []string{"STAGE"}},
		"does not allow the account root":                              {Account: "root"},
		"allows a session 2.00 US dollars, not 2.50":                   {MaxCostMicro: 2_500_000},
		"allows a session 1000 tokens, not 2000":                       {MaxTokens: 2000},
		"allows a session 1h0m0s of time, not 2h0m0s":                  {TimeoutMS: 7_200_000},
		"does not allow the image evil; does not allow the account no": {Image: "evil", Account: "no"},
	} {
		spec.Prompt = "x"
		_, err := owner().sessionTask(spec)
		if no := new(declined); !errors.As(err, no) || err.Error() != want {
			t.Errorf("%+v: %v, want %s", spec, err, want)
		}
	}
	if _, err := owner().sessionTask(task.Spec{}); err == nil {
		t.Error("a task without a prompt is taken")
	}
}

func TestTasksNarrow(t *testing.T) {
	t.Parallel()
	got, err := owner().sessionTask(task.Spec{Prompt: "x"})
	if err != nil || got.Workspace != "/shop" || got.Kind != agent.Claude || got.Account != "work" || got.From.Ref != "mine:1" ||
		got.Timeout != time.Hour || got.Budget.Tokens != 1000 || !slices.Equal(got.Allow, []string{"packages", "*.example.com"}) || !got.Attended {
		t.Errorf("the owner's: %+v, %v", got, err)
	}
	got, err = owner().sessionTask(task.Spec{
		Prompt: "x", Workspace: "blog", Agent: "codex", Image: "ghcr.io/acme/tools:3", AllowHosts: []string{"a.example.com"}, Account: "spare",
		Env: []string{"STAGE=test", "SECRET", "CI"}, TimeoutMS: 1000, MaxTokens: 10, MaxTurns: 3, Model: "gpt-5",
	})
	if err != nil || got.Workspace != "/blog" || got.Kind != agent.Codex || got.From.Ref != "ghcr.io/acme/tools:3" || got.Account != "spare" || got.Model != "gpt-5" ||
		got.Timeout != time.Second || got.Budget != (runner.Budget{CostMicroUSD: 2e6, Tokens: 10, Turns: 3}) || !slices.Equal(got.Allow, []string{"a.example.com"}) ||
		!slices.Equal(got.Env, []string{"CI=1", "STAGE=test", "SECRET=own"}) {
		t.Errorf("a narrower one: %+v, %v", got, err)
	}
}

// TestPermissionsOnlyGetStricter: what the owner denies stays denied, and what the owner
// allows is asked about when the task wants that.
func TestPermissionsOnlyGetStricter(t *testing.T) {
	t.Parallel()
	shell := permission.Call{Kind: event.KindShell, Tool: "Bash", Command: "make"}
	read := permission.Call{Kind: event.KindRead, Tool: "Read", Paths: []string{"a"}}
	curl := permission.Call{Kind: event.KindShell, Tool: "Bash", Command: "curl x"}
	rules := &permission.Policy{Default: permission.Allow, Rules: []permission.Rule{{Decision: permission.Deny, Commands: []string{"curl *"}}}}
	for name, test := range map[string]struct {
		owner *permission.Policy
		asked string
		want  [3]permission.Decision // shell, read, curl
	}{
		"nobody asks":             {nil, "", [3]permission.Decision{"allow", "allow", "allow"}},
		"the task asks":           {nil, "ask", [3]permission.Decision{"ask", "allow", "ask"}},
		"the owner has rules":     {rules, "", [3]permission.Decision{"allow", "allow", "deny"}},
		"rules, and the task ask": {rules, "ask", [3]permission.Decision{"ask", "allow", "deny"}},
	} {
		c := owner()
		base := c.Task
		c.Task = func(name string, kind agent.Kind) (runner.Task, error) {
			t, err := base(name, kind)
			t.Permissions = test.owner
			return t, err
		}
		got, err := c.sessionTask(task.Spec{Prompt: "x", Permissions: test.asked})
		if err != nil {
			t.Fatal(err)
		}
		for i, call := range []permission.Call{shell, read, curl} {
			have := permission.Allow
			if got.Permissions != nil {
				have = got.Permissions.Decide(call).Decision
			}
			if have != test.want[i] {
				t.Errorf("%s: %s %s is %s, want %s", name, call.Tool, call.Command, have, test.want[i])
			}
		}
		_, err = c.sessionTask(task.Spec{Prompt: "x", Permissions: "allow"})
		if (err != nil) != (test.owner != nil) {
			t.Errorf("%s: a task that wants no asking: %v", name, err)
		}
	}
	if len(rules.Rules) != 1 {
		t.Error("the owner's rules were changed")
	}
}

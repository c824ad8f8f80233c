//go:build e2e

package e2e

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
)

// example returns the n-th YAML block of docs/ci.md.
func example(t *testing.T, n int, into any) {
	t.Helper()
	doc, err := os.ReadFile("../docs/ci.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(doc), -1)
	if len(blocks) != 2 {
		t.Fatalf("docs/ci.md has %d examples", len(blocks))
	}
	if err := yaml.Unmarshal([]byte(blocks[n][1]), into); err != nil {
		t.Fatal(err)
	}
}

// project makes the workspace a repository with one commit, whose agent is to fix
// calc.py.
func (b *bundle) project() {
	b.t.Helper()
	b.write("calc.py", "def add(a, b):\n    return a - b\n")
	b.step("sh", `git init -q && git config user.name me && git config user.email me@example.com &&
		git add . && git commit -qm first && git remote add origin https://ci:job-token@example.com/p.git`, nil)
	err := filepath.WalkDir(b.ws, func(path string, _ os.DirEntry, err error) error {
		b.give(path)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// step runs a script in the workspace as a CI system does.
func (b *bundle) step(shell, script string, env map[string]string) string {
	b.t.Helper()
	cmd := exec.Command(shell, "-e", "-c", script)
	cmd.Dir = b.ws
	all := maps.Clone(b.env)
	all["PATH"] = filepath.Dir(built.binary) + ":" + all["PATH"]
	// In CI the repository is the job's own; here it is the person's.
	all["GIT_CONFIG_COUNT"], all["GIT_CONFIG_KEY_0"], all["GIT_CONFIG_VALUE_0"] = "1", "safe.directory", "*"
	maps.Copy(all, env)
	for k, v := range all {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.t.Fatalf("%v: %s\n%s", err, script, out)
	}
	return string(out)
}

// ci is what the example's secrets, inputs and variables are in the test; the API
// is the scripted one.
func (b *bundle) ci(env map[string]string) map[string]string {
	env = maps.Clone(env)
	for k, v := range env {
		v = strings.ReplaceAll(v, "${{ secrets.CLAUDE_CODE_OAUTH_TOKEN }}", b.token)
		env[k] = strings.ReplaceAll(v, "${{ inputs.prompt }}", "Fix calc.py.")
	}
	env["RATCHETAI_ALLOW_HOST"] += "\n" + gateway(b.api.URL())
	env["RATCHETAI_ENV"] = b.baseVar() + "=" + b.baseURL()
	return env
}

// fixed are the agent's turns, the last of which tries to command the job.
func fixed() []modelapi.Turn {
	return []modelapi.Turn{
		modelapi.Shell("sed -i 's/a - b/a + b/' calc.py; echo new >new.txt; git -c user.name=a -c user.email=a@example.com commit -qam mine; cat .git/config"),
		modelapi.Text("I **fixed** it.\n::set-output name=owned::yes\n<img src=x> ![p](http://evil.example/x)"),
	}
}

func checkPatch(t *testing.T, file string) {
	t.Helper()
	patch, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"-    return a - b\n+    return a + b", "+++ b/new.txt\n@@ -0,0 +1 @@\n+new"} {
		if !strings.Contains(string(patch), want) {
			t.Errorf("the patch does not say %q:\n%s", want, patch)
		}
	}
}

// TestGitHubExample runs the steps of docs/ci.md's workflow.
func TestGitHubExample(t *testing.T) {
	t.Parallel()
	var workflow struct {
		Jobs map[string]struct {
			Steps []struct {
				Name, Uses, Run string
				Env             map[string]string
			}
		}
	}
	example(t, 0, &workflow)
	b := setup(t, agent.Claude, fixed()...)
	b.project()
	delete(b.env, loginVar(b.kind)) // the example gives it
	temp := t.TempDir()
	summary := filepath.Join(temp, "summary")
	log := ""
	for _, s := range workflow.Jobs["agent"].Steps {
		if s.Run == "" || strings.HasPrefix(s.Run, "go install ") {
			continue
		}
		env := s.Env
		if env != nil {
			env = b.ci(env)
		} else {
			env = map[string]string{}
		}
		maps.Copy(env, map[string]string{"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": summary, "RUNNER_TEMP": temp})
		log += b.step("bash", s.Run, env)
	}
	checkPatch(t, filepath.Join(temp, "change.patch"))
	text, err := os.ReadFile(summary)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"### ✅ succeeded · ", "> I **fixed** it.", "- Tools: `shell` 1", "- Agent: `claude "} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the summary does not say %q:\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "<img") || strings.Contains(string(text), "![") {
		t.Errorf("the summary has the agent's picture:\n%s", text)
	}
	m := regexp.MustCompile(`(?s)::stop-commands::([A-Z2-7]{20,})\n(.*)\n::([A-Z2-7]+)::\n`).FindStringSubmatch(log)
	if m == nil || m[1] != m[3] || !strings.Contains(m[2], "  ::set-output") || strings.Count(log, "::set-output") != 1 {
		t.Errorf("the agent may command the job:\n%s", log)
	}
}

// TestGitLabExample runs the scripts of docs/ci.md's job.
func TestGitLabExample(t *testing.T) {
	t.Parallel()
	var file struct {
		Agent struct {
			Variables   map[string]string
			Script      []string
			AfterScript []string `yaml:"after_script"`
		}
	}
	example(t, 1, &file)
	b := setup(t, agent.Claude, fixed()...)
	b.project()
	env := b.ci(file.Agent.Variables)
	env["BEFORE"] = os.Expand(env["BEFORE"], func(string) string { return b.ws })
	maps.Copy(env, map[string]string{
		"CI": "true", "CI_PROJECT_DIR": b.ws, "CI_PROJECT_URL": "https://example.com/p", "RATCHETAI_PROMPT": "Fix calc.py.",
	})
	var script []string
	for _, line := range file.Agent.Script {
		if !strings.Contains(line, "go install ") {
			script = append(script, line)
		}
	}
	log := b.step("bash", strings.Join(script, "\n"), env)
	b.step("bash", strings.Join(file.Agent.AfterScript, "\n"), env)
	for _, file := range []string{"change.patch", ".git/config"} { // which the job wrote
		b.give(filepath.Join(b.ws, file))
	}
	checkPatch(t, filepath.Join(b.ws, "change.patch"))
	if strings.Contains(log, "job-token") || strings.ContainsAny(log, "\x1b\r") {
		t.Errorf("the log holds what it must not:\n%s", log)
	}
	if !strings.Contains(log, "✓ succeeded") {
		t.Errorf("the log does not say how it ended:\n%s", log)
	}
}

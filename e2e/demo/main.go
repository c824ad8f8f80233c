// Command demo shows the whole of ratchetai-runner in a minute, without a login:
//
//	go run ./e2e/demo bin/ratchetai-runner
//
// It makes a small project with a failing test and lets the real Claude Code fix
// it and then the real Codex document it, each in its own sandbox. Only the model
// is not real: both agents talk to a scripted API in this process (package
// modelapi), so that the same happens every time and nothing leaves the machine.
// The commands it prints are what a person types; with a login, everything after
// --cwd can be left out.
//
// It exits with 1 if a session failed or the project is not as it should be, and
// leaves nothing behind but the engine's images.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
)

// person owns the project when root runs the demo: agents do not work as root.
const person = 1000

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: demo PATH-OF-RATCHETAI-RUNNER")
		os.Exit(2)
	}
	// Ctrl-C is for the session; this process then ends with it and cleans up.
	// It must not be ignored, which children would inherit.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt, syscall.SIGTERM)
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(binary string) (err error) {
	binary, err = filepath.Abs(binary)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "ratchetai-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d := demo{binary: binary, state: filepath.Join(dir, "state"), project: filepath.Join(dir, "project")}
	if err := d.makeProject(); err != nil {
		return fmt.Errorf("make the sample project: %w", err)
	}
	for _, s := range sessions() {
		if err := d.session(s); err != nil {
			return err
		}
	}
	if err := d.showChanges(); err != nil {
		return err
	}
	return d.check()
}

// demo is where everything is.
type demo struct{ binary, state, project string }

// session is one run of the binary and what the model says in it.
type session struct {
	model, prompt string
	baseVar, path string // variable that moves the agent's API, and the URL's path
	keyVar, key   string
	turns         []modelapi.Turn
}

func sessions() []session {
	const test = "python3 -m unittest 2>&1 | tail -n 4"
	return []session{
		{
			model: "claude", prompt: "The test fails. Find out why and fix it.",
			baseVar: "ANTHROPIC_BASE_URL", keyVar: "ANTHROPIC_API_KEY", key: "sk-ant-api03-demo-not-a-real-key",
			turns: []modelapi.Turn{
				modelapi.Text("I will run the tests first.").With(modelapi.Shell(test)),
				modelapi.Text("`add` is wrong. Let me look at it.").With(modelapi.Tool("Read", map[string]string{"file_path": "/workspace/calc.py"})),
				modelapi.Text("It subtracts.").With(modelapi.Tool("Edit", map[string]string{
					"file_path": "/workspace/calc.py", "old_string": "return a - b", "new_string": "return a + b",
				})),
				modelapi.Shell(test),
				modelapi.Text("`add` subtracted its arguments. It adds them now, and the test passes."),
			},
		},
		{
			model: "codex", prompt: "Write a short USAGE.md for calc.py.",
			baseVar: "OPENAI_BASE_URL", path: "/v1", keyVar: "OPENAI_API_KEY", key: "sk-demo-not-a-real-key",
			turns: []modelapi.Turn{
				modelapi.Text("I will read the module.").With(modelapi.Shell("cat calc.py && git log --oneline")),
				modelapi.WriteFile("USAGE.md", "# Usage\n\n    >>> from calc import add\n    >>> add(2, 3)\n    5\n"),
				modelapi.Shell("python3 -m doctest USAGE.md && echo the examples hold"),
				modelapi.Text("USAGE.md shows how to call `add`; its example is checked."),
			},
		},
	}
}

// makeProject makes a git repository with a bug and a test that shows it.
func (d demo) makeProject() error {
	if err := os.Mkdir(d.project, 0o755); err != nil {
		return err
	}
	for name, content := range map[string]string{
		"calc.py":      "def add(a, b):\n    return a - b\n",
		"test_calc.py": "import unittest\nfrom calc import add\n\n\nclass AddTest(unittest.TestCase):\n    def test_add(self):\n        self.assertEqual(add(2, 3), 5)\n",
		".gitignore":   "__pycache__/\n",
	} {
		if err := os.WriteFile(filepath.Join(d.project, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"commit", "-qm", "a calculator"}} {
		if out, err := d.git(args...).CombinedOutput(); err != nil {
			return fmt.Errorf("git %s: %w: %s", args[0], err, out)
		}
	}
	if os.Getuid() != 0 {
		return nil
	}
	return filepath.WalkDir(d.project, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, person, person)
	})
}

// git works on the project, whoever owns it, and runs nothing that the project
// names.
func (d demo) git(args ...string) *exec.Cmd {
	return exec.Command("git", append([]string{
		"-C", d.project, "-c", "safe.directory=*", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false",
		"-c", "user.name=demo", "-c", "user.email=demo@example.com",
	}, args...)...)
}

// session runs one session against a model of its own.
func (d demo) session(s session) error {
	api, err := modelapi.New(s.turns...)
	if err != nil {
		return err
	}
	defer api.Close()
	// The sandbox reaches this machine's loopback by that name only, and only the
	// ports that the person names.
	host := "host.ratchet.internal" + api.Addr()[strings.LastIndexByte(api.Addr(), ':'):]
	args := []string{
		"run", "--model", s.model, "--prompt", s.prompt, "--cwd", d.project,
		"--credentials", "env", "--allow-host", host, "--env", s.baseVar + "=http://" + host + s.path,
	}
	fmt.Printf("\n$ export %s=%s\n$ ratchetai-runner %s\n", s.keyVar, s.key, quoted(args))
	cmd := exec.Command(d.binary, args...)
	cmd.Env = append(os.Environ(), "RATCHETAI_STATE_DIR="+d.state, s.keyVar+"="+s.key)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("the session with %s: %w", s.model, err)
	}
	return nil
}

// quoted is args as they are typed into a shell.
func quoted(args []string) string {
	var b strings.Builder
	for i, a := range args {
		if strings.ContainsAny(a, " '\"$&;()<>|*?\\") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		switch {
		case i > 0 && strings.HasPrefix(a, "--"):
			b.WriteString(" \\\n    ")
		case i > 0:
			b.WriteString(" ")
		}
		b.WriteString(a)
	}
	return b.String()
}

// showChanges prints what the agents did to the project.
func (d demo) showChanges() error {
	fmt.Printf("\n$ git add --intent-to-add . && git diff --stat\n")
	if out, err := d.git("add", "--intent-to-add", ".").CombinedOutput(); err != nil {
		return fmt.Errorf("git add: %w: %s", err, out)
	}
	diff := d.git("--no-pager", "diff", "--no-ext-diff", "--stat")
	diff.Stdout, diff.Stderr = os.Stdout, os.Stderr
	return diff.Run()
}

// check compares the project with what the agents were to do.
func (d demo) check() error {
	var problems []error
	for name, want := range map[string]string{"calc.py": "return a + b", "USAGE.md": ">>> add(2, 3)"} {
		data, err := os.ReadFile(filepath.Join(d.project, name))
		if err == nil && !strings.Contains(string(data), want) {
			err = fmt.Errorf("%s does not say %q", name, want)
		}
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/credential"
	"github.com/sprawlto/ratchetai-runner/internal/egress"
	"github.com/sprawlto/ratchetai-runner/internal/runner"
	"github.com/sprawlto/ratchetai-runner/internal/workspace"
)

// promptMax bounds a prompt, in bytes: it is one line of the agent's stdin, which
// takes 10 MB with everything escaped.
const promptMax = 4 << 20

// taskFlags are the flags that describe a task.
type taskFlags struct {
	prompt, promptFile string
	title              string
	model              string
	cwd                string
	anywhere           bool
	allowHosts         []string
	allowAddresses     []string
	allowPaths         []string
	env                []string
	mcpConfig          []string
	credentials        string
	account            string
	user               string
	timeout            time.Duration
	orphanAfter        time.Duration
	image              imageFlags
	runtime            string
	permissions        string
	rulesFile          string
	askTimeout         time.Duration
	resume, fork       string
	bounds             boundFlags
}

// The variables by which the vendors' tools are sent to another API, and those
// that hold a login.
var (
	baseURLs = map[agent.Kind]string{agent.Claude: "ANTHROPIC_BASE_URL", agent.Codex: "OPENAI_BASE_URL"}
	logins   = []string{"CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CODEX_API_KEY", "OPENAI_API_KEY"}
)

var (
	userForm   = regexp.MustCompile(`^(0|[1-9][0-9]{0,9}):(0|[1-9][0-9]{0,9})$`)
	envKeyForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// task makes a task of the flags. The error is a usageError that lists every
// problem. The prompt is read last, because stdin can be read only once.
func (a *app) task(ctx context.Context, f taskFlags, changed func(string) bool) (runner.Task, error) {
	origin, err := a.origin(ctx, &f, changed)
	if err != nil {
		return runner.Task{}, usageError{err}
	}
	var problems []error
	note := func(err error) {
		if err != nil {
			problems = append(problems, err)
		}
	}
	t := runner.Task{
		Title: f.title, Timeout: f.timeout, Orphan: f.orphanAfter, Runtime: f.runtime, Account: f.account,
		AskTimeout: f.askTimeout, Origin: origin, Fork: f.fork != "",
	}
	if t.Kind, t.Model, err = agent.ParseModel(f.model); err != nil {
		note(fmt.Errorf("--model: %w", err))
	}
	t.Login, err = credentialMode(f.credentials)
	note(err)
	if f.account != "" {
		_, err = credential.Accounts("").Dir(string(t.Kind), f.account)
		note(prefix("--account", err))
	}
	if f.account != "" && t.Login == credential.ModeEnv {
		note(errors.New("--account and --credentials env exclude each other"))
	}
	if t.Workspace, err = runner.CheckWorkspace(f.cwd, a.home(), f.anywhere); err != nil {
		note(fmt.Errorf("--cwd: %w", err))
	}
	t.User, err = taskUser(f.user, t.Workspace)
	note(err)
	t.Env, err = a.taskEnv(f.env)
	note(err)
	t.MCP, err = mcpServers(f.mcpConfig, t.Env)
	note(err)
	t.BaseURL, t.Env, err = baseURL(t.Kind, t.Env)
	note(err)
	t.Allow, err = allowed(f.allowHosts)
	note(err)
	t.Permit, err = permitted(f.allowAddresses)
	note(err)
	t.AllowPaths, err = allowedPaths(t.Workspace, f.allowPaths)
	note(err)
	t.Permissions, t.RulesFile, err = a.permissions(f.permissions, f.rulesFile, t.Workspace)
	note(err)
	note(positive("--ask-timeout", f.askTimeout))
	if origin != nil && !origin.Copied {
		t.Limits = origin.Limits
		if !changed("permissions") && !changed("permission-rules") {
			t.Permissions, t.RulesFile = origin.Agent.Permissions, origin.RulesFile
		}
		if t.BaseURL == "" {
			t.BaseURL = origin.Agent.BaseURL
		}
	}
	note(f.bounds.task(&t))
	note(f.image.check())
	t.From.Ref = f.image.ref
	note(positive("--timeout", f.timeout))
	note(positive("--orphan-after", f.orphanAfter))
	if err := errors.Join(append(problems, f.checkPrompt())...); err != nil {
		return t, usageError{err}
	}
	if t.Prompt, err = a.readPrompt(f); err != nil {
		return t, usageError{err}
	}
	return t, nil
}

func positive(flag string, d time.Duration) error {
	if d <= 0 {
		return fmt.Errorf("%s: %s is not positive", flag, d)
	}
	return nil
}

// credentialMode reads --credentials; auto is the package's empty mode.
func credentialMode(s string) (credential.Mode, error) {
	switch m := credential.Mode(s); m {
	case "auto":
		return "", nil
	case credential.ModeMount, credential.ModeHostDir, credential.ModeEnv:
		return m, nil
	}
	return "", fmt.Errorf("--credentials: %q is none of auto, mount, host-dir, env", s)
}

// taskUser is the agent's user: as given, or the workspace's owner.
func taskUser(user, workspace string) (string, error) {
	switch {
	case user != "" && !userForm.MatchString(user):
		return "", fmt.Errorf("--user: %q is not UID:GID in numbers", user)
	case user != "" || workspace == "":
		return user, nil
	}
	return runner.WorkspaceUser(workspace)
}

// taskEnv completes KEY with the runner's own value.
func (a *app) taskEnv(given []string) ([]string, error) {
	var env []string
	var problems []error
	for _, e := range given {
		key, value, ok := strings.Cut(e, "=")
		switch {
		case !envKeyForm.MatchString(key):
			problems = append(problems, fmt.Errorf("--env: %q is not KEY or KEY=VALUE", key))
			continue
		case !ok:
			if value, ok = a.lookup(key); !ok {
				problems = append(problems, fmt.Errorf("--env: %s is not set here; set it, or give --env %s=VALUE", key, key))
				continue
			}
		}
		if strings.ContainsRune(value, 0) {
			problems = append(problems, fmt.Errorf("--env: %s holds a zero byte", key))
			continue
		}
		env = append(env, key+"="+value)
	}
	return env, errors.Join(problems...)
}

// baseURL takes the variable that moves the agent's API out of env.
func baseURL(kind agent.Kind, env []string) (string, []string, error) {
	key := baseURLs[kind]
	value := ""
	rest := slices.DeleteFunc(slices.Clone(env), func(e string) bool {
		v, ok := strings.CutPrefix(e, key+"=")
		if ok && key != "" {
			value = v
		}
		return ok && key != ""
	})
	if value == "" {
		return "", rest, nil
	}
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return "", rest, fmt.Errorf("--env: %s is not an http or https URL", key)
	}
	if _, err := egress.Parse(u.Host); err != nil {
		return "", rest, prefix("the agent's base URL", err)
	}
	return value, rest, nil
}

// allowed checks the egress rules.
func allowed(rules []string) ([]string, error) {
	_, err := egress.Parse(rules...)
	return rules, prefix("--allow-host", err)
}

// permitted reads --allow-address.
func permitted(given []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	var problems []error
	for _, text := range given {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			problems = append(problems, fmt.Errorf("--allow-address: %q is not a network such as 10.1.0.0/16", text))
		}
		all = append(all, p)
	}
	return all, errors.Join(problems...)
}

// allowedPaths reads --allow-path.
func allowedPaths(dir string, given []string) ([]string, error) {
	var all []string
	var problems []error
	for _, name := range given {
		rel, err := workspace.AllowPath(dir, name)
		problems = append(problems, prefix("--allow-path", err))
		all = append(all, rel)
	}
	return all, errors.Join(problems...)
}

func prefix(what string, err error) error {
	if err == nil {
		return nil
	}
	var lines []error
	for line := range strings.SplitSeq(err.Error(), "\n") {
		lines = append(lines, fmt.Errorf("%s: %s", what, line))
	}
	return errors.Join(lines...)
}

func (f taskFlags) checkPrompt() error {
	switch {
	case f.prompt != "" && f.promptFile != "":
		return errors.New("--prompt and --prompt-file exclude each other")
	case f.prompt == "" && f.promptFile == "":
		return errors.New("no prompt: say what to do with --prompt TEXT or --prompt-file FILE (- is stdin)")
	}
	return nil
}

func (a *app) readPrompt(f taskFlags) (string, error) {
	text := f.prompt
	if f.promptFile != "" {
		in := io.Reader(a.In)
		if f.promptFile != "-" {
			file, err := os.Open(f.promptFile)
			if err != nil {
				return "", fmt.Errorf("--prompt-file: %w", err)
			}
			defer file.Close()
			in = file
		}
		data, err := io.ReadAll(io.LimitReader(in, promptMax+1))
		if err != nil {
			return "", fmt.Errorf("--prompt-file: %w", err)
		}
		text = string(data)
	}
	switch {
	case strings.TrimSpace(text) == "":
		return "", errors.New("the prompt is empty")
	case len(text) > promptMax:
		return "", fmt.Errorf("the prompt has more than %d MiB; put it into a file of the workspace and name that", promptMax>>20)
	case !utf8.ValidString(text):
		return "", errors.New("the prompt is not UTF-8 text")
	}
	return text, nil
}

// withLogin is getenv with the logins that are given to the session by --env: who
// names a key there means it to be used.
func withLogin(getenv func(string) string, env []string) func(string) string {
	return func(key string) string {
		if slices.Contains(logins, key) {
			for _, e := range slices.Backward(env) {
				if v, ok := strings.CutPrefix(e, key+"="); ok {
					return v
				}
			}
		}
		return getenv(key)
	}
}

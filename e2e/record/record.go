package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"

	"github.com/sprawlto/ratchetai-runner/e2e/modelapi"
	"github.com/sprawlto/ratchetai-runner/internal/agent"
)

// conversation is Claude's session id in every recording.
const conversation = ownID + "00000000c1a0"

// record plays one scenario in a directory and with an API of its own.
func record(ctx context.Context, image string, s scenario) (r *recording, err error) {
	dir, err := os.MkdirTemp("", "ratchetai-record-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	api, err := modelapi.New(modelapi.Text("(no script)"))
	if err != nil {
		return nil, err
	}
	defer api.Close()
	for mark, turns := range s.marked {
		api.Script(mark, turns...)
	}
	api.Script(s.token(), s.turns...)

	o := agent.Options{Kind: s.stream.kind(), Conversation: conversation, BaseURL: api.URL()}
	if o.Kind == agent.Codex {
		o.BaseURL += "/v1"
		o.Model = "gpt-5.5"
	}
	c := container{
		name: fmt.Sprintf("ratchetai-record-%d-%s-%s", os.Getpid(), s.stream, s.name), image: image,
		interactive: !s.stream.plain(),
	}
	c.command, c.env = s.process(o)
	if err := c.seedDirs(dir, s.files, s.login()); err != nil {
		return nil, err
	}
	return c.run(ctx, s, o)
}

// token is fake; the script of the session has it as its key.
func (s scenario) token() string {
	switch {
	case s.stream.kind() == agent.Codex:
		return "sk-proj-FAKE-record-" + s.name
	case s.oauth:
		return "sk-ant-oat01-FAKE-record-" + s.name
	}
	return "sk-ant-api03-FAKE-record-" + s.name
}

// login is the agent's home with its login.
func (s scenario) login() map[string]string {
	home := maps.Clone(s.home)
	if home == nil {
		home = map[string]string{}
	}
	if s.stream.kind() == agent.Codex {
		auth, _ := json.Marshal(map[string]string{"OPENAI_API_KEY": s.token()}) // strings always marshal
		home[".codex/auth.json"] = string(auth)
	}
	return home
}

// process is what the runner would start, with the scenario's additions. A plain
// stream takes the prompt as an argument, and has the same
// environment.
func (s scenario) process(o agent.Options) (command, env []string) {
	p := agent.New(o).Process()
	env = append(p.Env, s.env...)
	if o.Kind == agent.Claude {
		name := "ANTHROPIC_API_KEY"
		if s.oauth {
			name = "CLAUDE_CODE_OAUTH_TOKEN"
		}
		env = append(env, name+"="+s.token())
	}
	if !s.stream.plain() {
		return append(p.Command, s.args...), env
	}
	prompt := s.prompt
	if prompt == "" {
		prompt = defaultPrompt
	}
	if s.stream == claudePrint {
		command = []string{
			p.Command[0], "-p", prompt, "--output-format", "stream-json", "--verbose",
			"--permission-mode", "bypassPermissions",
		}
	} else {
		command = []string{
			p.Command[0], "exec", "--json", "--skip-git-repo-check", "--disable", "unbounded_connection_retries",
			"-s", "danger-full-access", "-m", o.Model, "-c", fmt.Sprintf("openai_base_url=%q", o.BaseURL),
		}
	}
	command = append(command, s.args...)
	if s.stream == codexExec {
		command = append(command, "--", prompt)
	}
	return command, env
}

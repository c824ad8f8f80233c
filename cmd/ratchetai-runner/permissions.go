package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sprawlto/ratchetai-runner/internal/permission"
)

// ownRules is the file of the person's own rules, beside the configuration file.
const ownRules = "permission-rules.yaml"

// permissions makes a policy of --permissions and --permission-rules; nil allows
// everything. It also returns the absolute path of the file that takes what is allowed
// always: the one given, or the person's own, which asking first begins with.
func (a *app) permissions(mode, file, workspace string) (*permission.Policy, string, error) {
	given := file != ""
	if given && mode == "allow" { // the default
		mode = "rules"
	}
	switch {
	case given && mode != "rules":
		return nil, "", fmt.Errorf("--permission-rules: goes with --permissions rules, not %q", mode)
	case mode == "allow":
		return nil, "", nil
	case mode != "ask" && mode != "rules":
		return nil, "", fmt.Errorf("--permissions: %q is none of allow, ask, rules", mode)
	}
	flag := "--permission-rules"
	if !given {
		config, _ := a.configPath()
		file, flag = filepath.Join(filepath.Dir(config), ownRules), "--permissions "+mode
	}
	file, err := filepath.Abs(file)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", flag, err)
	}
	data, err := os.ReadFile(file)
	switch {
	case !given && errors.Is(err, fs.ErrNotExist) && mode == "ask":
		p := permission.AskFirst()
		return &p, file, nil
	case !given && errors.Is(err, fs.ErrNotExist):
		return nil, "", fmt.Errorf("--permissions rules needs --permission-rules FILE, or %s", file)
	case err != nil:
		return nil, "", fmt.Errorf("%s: %w", flag, err)
	case !given && inside(filepath.Dir(file), workspace): // nobody named it
		return nil, "", fmt.Errorf("%s: %s is inside --cwd, where the agent can change it; name it with --permission-rules to use it nevertheless", flag, file)
	}
	p, err := permission.Parse(data)
	if err != nil {
		return nil, "", prefix(flag+": "+file, err)
	}
	if mode == "ask" {
		p.Rules = append(p.Rules, permission.AskFirst().Rules...)
	}
	return &p, file, nil
}

// inside reports whether the directory dir is workspace, or below it, by any name.
func inside(dir, workspace string) bool {
	ws, err := os.Stat(workspace)
	if err != nil {
		return false
	}
	below := func(dir string) bool {
		for {
			if info, err := os.Stat(dir); err == nil && os.SameFile(info, ws) {
				return true
			}
			up := filepath.Dir(dir)
			if up == dir {
				return false
			}
			dir = up
		}
	}
	resolved, err := filepath.EvalSymlinks(dir)
	return below(dir) || err == nil && below(resolved)
}

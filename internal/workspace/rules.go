package workspace

import (
	"path"
	"strings"
)

// Rule is one path that tools of the host run or trust.
type Rule struct {
	// Path is relative to the workspace. Its last part is guarded in every
	// directory below as well; a leading * stands for any beginning. What
	// begins with .git/ holds for every git directory.
	Path string
	// Reason says what the host does with it.
	Reason string
	// Hold says that, where it is absent, an empty read-only directory takes its
	// place while a session runs. That is for directories which mean nothing to
	// anybody when they are empty; an empty file always means something.
	Hold bool
}

const (
	gitName   = ".git"
	gitRules  = ".git/"
	bareRule  = "HEAD with objects and refs, or with commondir"
	whyGit    = "git takes config and hooks from where it is or points to"
	whyBare   = "git takes a directory with these for a repository and obeys its config"
	whyHooks  = "git runs the programs in it"
	whyConfig = "git runs programs that it names (fsmonitor, sshCommand, filters, aliases)"
)

// rules is the table. Codex warns of an empty .codex (0.169.0), so that is not held.
var rules = [...]Rule{
	{gitName, whyGit, false},
	{".git/config", whyConfig, false},
	{".git/config.worktree", whyConfig, false},
	{".git/hooks", whyHooks, true},
	{".git/commondir", "git takes config and hooks from the directory that it names", false},
	{".git/gitdir", "it ties a worktree to a git directory", false},
	{bareRule, whyBare, false},
	{".claude", "Claude Code runs hooks, commands and skills of it and takes permissions from it", true},
	{".codex", "Codex starts servers and hooks that it names", false},
	{".cursor", "Cursor starts servers and hooks that it names and obeys its rules", true},
	{".devcontainer", "editors build and start it, and run its initializeCommand on the host", true},
	{".gemini", "Gemini CLI starts servers and hooks that it names", true},
	{".husky", "git runs its scripts as hooks", true},
	{".idea", "JetBrains IDEs run its run configurations and startup tasks", true},
	{".vscode", "VS Code runs its tasks and programs that its settings name", true},
	{".zed", "Zed runs its tasks and programs that its settings name", true},
	{".mcp.json", "agents start the servers that it names", false},
	{".envrc", "direnv runs it in a shell that enters the directory", false},
	{".devcontainer.json", "editors build and start it, and run its initializeCommand on the host", false},
	{".pre-commit-config.yaml", "an installed pre-commit hook runs programs that it names", false},
	{"lefthook.yml", "an installed lefthook hook runs commands of it", false},
	{".mise.toml", "mise runs its hooks in a shell that enters the directory", false},
	{"mise.toml", "mise runs its hooks in a shell that enters the directory", false},
	{".exrc", "Vim runs it where exrc is set", false},
	{".nvim.lua", "Neovim runs it where exrc is set", false},
	{"*.code-workspace", "VS Code runs its tasks and programs that its settings name", false},
	{"*.run.xml", "JetBrains IDEs show and run it as a run configuration", false},
}

// Rules returns the table.
func Rules() []Rule { return rules[:] }

// named are the rules for names outside git directories.
func named() []Rule {
	var list []Rule
	for _, r := range rules {
		if r.Path != bareRule && r.Path != gitName && !strings.HasPrefix(r.Path, gitRules) {
			list = append(list, r)
		}
	}
	return list
}

// names finds rules by the name of a file. Names are compared without case:
// that is how the file systems of other machines find them.
type names struct {
	exact    map[string]Rule
	suffixes []Rule
}

func newNames() names {
	n := names{exact: map[string]Rule{gitName: {Path: gitName, Reason: whyGit}}}
	for _, r := range named() {
		if strings.HasPrefix(r.Path, "*") {
			n.suffixes = append(n.suffixes, r)
		} else {
			n.exact[r.Path] = r
		}
	}
	return n
}

func (n names) find(name string) (Rule, bool) {
	name = strings.ToLower(name) // does not allocate for most
	if r, ok := n.exact[name]; ok {
		return r, true
	}
	for _, r := range n.suffixes {
		if strings.HasSuffix(name, r.Path[1:]) {
			return r, true
		}
	}
	return Rule{}, false
}

// gitReason is the reason for file, which is in a git directory.
func gitReason(file string) string {
	for dir := file; dir != "." && dir != "/"; dir = path.Dir(dir) {
		for _, r := range rules {
			if r.Path == gitRules+path.Base(dir) {
				return r.Reason
			}
		}
	}
	return whyGit
}

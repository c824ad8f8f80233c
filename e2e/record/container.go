package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
)

// person owns the workspaces when root records: agents do not work as root.
const person = 1000

// container is one agent in the image, on the host's network: the scripted API
// is on the host's loopback.
type container struct {
	name, image     string
	workspace, seed string // directories of the host; seed is copied to the agent's home
	env, command    []string
	interactive     bool
}

func (c container) args() []string {
	uid := os.Getuid()
	if uid == 0 {
		uid = person
	}
	user := strconv.Itoa(uid)
	args := []string{
		"run", "--rm", "--name", c.name, "--network", "host", "--user", user + ":" + user,
		"--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
		"--tmpfs", "/tmp:exec,mode=1777", "--tmpfs", agent.Home + ":exec,mode=0777",
		"--volume", c.workspace + ":" + agent.Workspace, "--volume", c.seed + ":/seed:ro",
		"--workdir", agent.Workspace, "--env", "HOME=" + agent.Home, "--env", "TERM=dumb", "--env", "LANG=C.UTF-8",
	}
	for _, e := range c.env {
		args = append(args, "--env", e)
	}
	if c.interactive {
		args = append(args, "--interactive")
	}
	args = append(args, c.image, "sh", "-c", `cp -r /seed/. "$HOME" && exec "$@"`, "sh")
	return append(args, c.command...)
}

// kill sends a signal to the agent. One that has ended already needs none.
func (c container) kill(signal string) error {
	_ = exec.Command("docker", "kill", "--signal", signal, c.name).Run()
	return nil
}

// seedDirs makes the two directories of a scenario under dir.
func (c *container) seedDirs(dir string, files, home map[string]string) error {
	c.workspace, c.seed = filepath.Join(dir, "workspace"), filepath.Join(dir, "home")
	for root, set := range map[string]map[string]string{c.workspace: files, c.seed: home} {
		if err := os.Mkdir(root, 0o755); err != nil {
			return err
		}
		for name, content := range set {
			path := filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
				return err
			}
		}
	}
	if os.Getuid() != 0 {
		return nil
	}
	return filepath.WalkDir(c.workspace, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("workspace: %w", err)
		}
		return os.Lchown(path, person, person)
	})
}

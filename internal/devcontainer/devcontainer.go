// Package devcontainer reads a repository's devcontainer.json
// (https://containers.dev/implementors/json_reference/) as far as a sandbox can
// honour it: what to start from, environment, mounts of the workspace's own
// directories, and the command that prepares the workspace.
//
// The file is repository content, and so hostile: it is read through an os.Root,
// bounded, and nothing in it can give a session more than it has. What reaches
// beyond the sandbox is not honoured and named in Config.Ignored.
package devcontainer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
)

// fileMax bounds devcontainer.json, in bytes.
const fileMax = 256 << 10

// ErrNone says that the workspace has no devcontainer.json.
var ErrNone = errors.New("no .devcontainer/devcontainer.json or .devcontainer.json")

// Config is what a devcontainer.json asks for. Either Image or Build is set.
type Config struct {
	Path    string // of the file, in the workspace
	Image   string
	Build   *Build
	Env     []string // KEY=VALUE, sorted
	Mounts  []Mount
	Prepare string   // for sh -c, in the workspace, before the agent starts
	Ignored []string // what is not honoured
}

// Build is an image that the repository describes.
type Build struct {
	Dockerfile string // in the workspace
	Context    string // directory in the workspace
	Args       map[string]string
	Target     string
}

// Read returns the configuration of the workspace root, or ErrNone. folder is where
// the sandbox sees the workspace.
func Read(root *os.Root, folder string) (Config, error) {
	for _, name := range []string{".devcontainer/devcontainer.json", ".devcontainer.json"} {
		data, err := ReadFile(root, name, fileMax)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var c Config
		if err == nil {
			c, err = parse(data, name, folder)
		}
		if err != nil {
			return Config{}, fmt.Errorf("%s: %w", name, err)
		}
		return c, nil
	}
	return Config{}, ErrNone
}

// ReadFile returns a regular file of root that has at most limit bytes.
func ReadFile(root *os.Root, name string, limit int64) ([]byte, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, fmt.Errorf("not a file of at most %d KiB", limit>>10)
	}
	return io.ReadAll(io.LimitReader(f, limit))
}

// quiet are properties that concern editors only.
var quiet = []string{"$schema", "name", "customizations", "forwardPorts", "portsAttributes", "otherPortsAttributes", "shutdownAction", "waitFor"}

func parse(data []byte, name, folder string) (Config, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(plain(data), &all); err != nil {
		return Config{}, err
	}
	if _, ok := all["dockerComposeFile"]; ok {
		return Config{}, errors.New("dockerComposeFile: Compose projects cannot be a sandbox")
	}
	c := Config{Path: name}
	env := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(all)) { // containerEnv before remoteEnv, which wins
		value := all[key]
		var err error
		switch key {
		case "image":
			err = json.Unmarshal(value, &c.Image)
		case "build":
			c.Build, err = c.build(value)
		case "containerEnv", "remoteEnv":
			err = c.environment(key, value, env, folder)
		case "mounts":
			err = c.mounts(value, folder)
		case "postCreateCommand":
			c.Prepare, err = command(value)
			c.Prepare = expand(c.Prepare, folder)
		default:
			if !slices.Contains(quiet, key) {
				c.Ignored = append(c.Ignored, key)
			}
		}
		if err != nil {
			return Config{}, fmt.Errorf("%s: %w", key, err)
		}
	}
	if (c.Image == "") == (c.Build == nil) {
		return Config{}, errors.New("it needs either image or build")
	}
	for _, k := range slices.Sorted(maps.Keys(env)) {
		c.Env = append(c.Env, k+"="+env[k])
	}
	return c, nil
}

func (c *Config) build(value json.RawMessage) (*Build, error) {
	var b struct {
		Dockerfile string            `json:"dockerfile"`
		Context    string            `json:"context"`
		Target     string            `json:"target"`
		Args       map[string]string `json:"args"`
	}
	var all map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(value, &b), json.Unmarshal(value, &all)); err != nil {
		return nil, err
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if !slices.Contains([]string{"dockerfile", "context", "target", "args"}, key) {
			c.Ignored = append(c.Ignored, "build."+key)
		}
	}
	dir := path.Dir(c.Path)
	out := Build{Dockerfile: path.Join(dir, b.Dockerfile), Context: path.Join(dir, b.Context), Target: b.Target, Args: map[string]string{}}
	if b.Dockerfile == "" || !fs.ValidPath(out.Dockerfile) || !fs.ValidPath(out.Context) || path.IsAbs(b.Dockerfile) || path.IsAbs(b.Context) {
		return nil, errors.New("dockerfile and context must be in the workspace")
	}
	for k, v := range b.Args {
		if strings.Contains(v, "${") {
			c.Ignored = append(c.Ignored, "build.args."+k)
			continue
		}
		out.Args[k] = v
	}
	slices.Sort(c.Ignored)
	return &out, nil
}

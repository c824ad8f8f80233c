package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v4"
)

// configMax bounds the configuration file, in bytes.
const configMax = 1 << 20

// configFile is what a configuration file says: defaults of flags, by command.
//
//	verbose: true            # a flag of every command
//	run:
//	  model: codex
//	policy:                  # the last word on this machine
//	  run:
//	    allow-host: [packages, github]
type configFile struct {
	path     string
	settings []setting
}

// setting is one flag's value in the file.
type setting struct {
	command string // such as "run" or "sessions ls"; empty for the flags of every command
	flag    string
	values  []string // more than one only for a repeatable flag
	line    int
	policy  bool // neither the command line nor the environment changes it
}

// errConfig is a problem of the configuration file.
type errConfig struct {
	path string
	line int
	text string
}

func (e errConfig) Error() string { return fmt.Sprintf("%s:%d: %s", e.path, e.line, e.text) }

// configPath is where the file is, and whether somebody named it: then it has to
// be there.
func (a *app) configPath() (path string, named bool) {
	if a.config != "" {
		return a.config, true
	}
	if path = a.getenv("RATCHETAI_CONFIG"); path != "" {
		return path, true
	}
	dir := a.getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(a.home(), ".config")
	}
	return filepath.Join(dir, name, "config.yaml"), false
}

// readConfig reads and checks the file for the commands of root. Its error holds
// every problem. Without a file there are no settings.
func (a *app) readConfig(root *cobra.Command) (configFile, error) {
	path, named := a.configPath()
	c := configFile{path: path}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("configuration: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > configMax {
		return c, fmt.Errorf("configuration: %s is no file of at most %d MiB", path, configMax>>20)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("configuration: %w", err)
	}
	var doc, more yaml.Node
	documents := yaml.NewDecoder(bytes.NewReader(data))
	if err := documents.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return c, fmt.Errorf("configuration: %s: %w", path, err)
	}
	if err := documents.Decode(&more); !errors.Is(err, io.EOF) { // a policy may be in it
		return c, fmt.Errorf("configuration: %s: nothing may follow the first YAML document (---)", path)
	}
	var problems []error
	if len(doc.Content) > 0 {
		problems = c.read(root, "", false, doc.Content[0])
	}
	return c, errors.Join(problems...)
}

// read takes the settings of cmd and of the commands below it from node.
func (c *configFile) read(cmd *cobra.Command, command string, policy bool, node *yaml.Node) (problems []error) {
	bad := func(n *yaml.Node, format string, args ...any) {
		problems = append(problems, errConfig{c.path, n.Line, fmt.Sprintf(format, args...)})
	}
	if node.Kind != yaml.MappingNode {
		bad(node, "%s: settings are written as KEY: VALUE", cmp.Or(command, "top level"))
		return problems
	}
	seen := map[string]bool{}
	for i := 0; i < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		where := strings.TrimSpace(command + " " + key.Value)
		sub, flag := child(cmd, key.Value), settable(cmd, key.Value)
		switch {
		case seen[key.Value]:
			bad(key, "%s is set twice", where)
		case key.Value == "policy" && !cmd.HasParent() && !policy:
			problems = append(problems, c.read(cmd, "", true, value)...)
		case sub != nil:
			problems = append(problems, c.read(sub, where, policy, value)...)
		case flag == nil:
			bad(key, "%s is no setting; %s config show --effective lists them", where, name)
		default:
			values, err := settingValues(flag, value)
			if err == nil {
				err = tryFlag(flag, values)
			}
			if err != nil {
				bad(value, "%s: %v", where, err)
			}
			c.settings = append(c.settings, setting{command, key.Value, values, value.Line, policy})
		}
		seen[key.Value] = true
	}
	return problems
}

// child is the command below cmd with this name, if it has settings.
func child(cmd *cobra.Command, name string) *cobra.Command {
	for _, sub := range cmd.Commands() {
		if sub.Name() == name && configurable(sub) {
			return sub
		}
	}
	return nil
}

// configurable tells the project's own commands from cobra's.
func configurable(cmd *cobra.Command) bool {
	return !cmd.Hidden && cmd.Name() != "help" && cmd.Name() != "completion" && cmd.Name() != "config"
}

// settable is the flag of cmd with this name that the environment and the file can
// set, or nil.
func settable(cmd *cobra.Command, flag string) *pflag.Flag {
	if flag == "help" || flag == "config" || flag == "version" {
		return nil
	}
	if !cmd.HasParent() {
		return cmd.PersistentFlags().Lookup(flag)
	}
	return cmd.LocalNonPersistentFlags().Lookup(flag)
}

// settingValues are the texts of a scalar or, for a repeatable flag, of a list.
func settingValues(flag *pflag.Flag, node *yaml.Node) ([]string, error) {
	_, repeatable := flag.Value.(pflag.SliceValue)
	switch {
	case node.Kind == yaml.ScalarNode && node.Tag != "!!null":
		return []string{node.Value}, nil
	case node.Kind != yaml.SequenceNode:
		return nil, errors.New("a value is missing")
	case !repeatable:
		return nil, errors.New("it takes one value, not a list")
	}
	values := []string{}
	for _, n := range node.Content {
		if n.Kind != yaml.ScalarNode {
			return nil, errors.New("a list holds plain values only")
		}
		values = append(values, n.Value)
	}
	return values, nil
}

// tryFlag reports what setting the flag would, and leaves the flag as it was.
func tryFlag(flag *pflag.Flag, values []string) error {
	if list, ok := flag.Value.(pflag.SliceValue); ok {
		before := list.GetSlice()
		defer func() { _ = list.Replace(before) }()
	} else {
		before := flag.Value.String()
		defer func() { _ = flag.Value.Set(before) }()
	}
	return setFlag(flag, values)
}

// setFlag gives the flag values in place of its default.
func setFlag(flag *pflag.Flag, values []string) error {
	if list, ok := flag.Value.(pflag.SliceValue); ok {
		return list.Replace(values)
	}
	return flag.Value.Set(values[0])
}

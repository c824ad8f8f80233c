package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/sprawlto/ratchetai-runner/internal/permission"
)

// permissions makes a policy of --permissions and --permission-rules; nil allows
// everything.
func permissions(mode, file string) (*permission.Policy, error) {
	if file != "" && mode == "allow" { // the default
		mode = "rules"
	}
	switch {
	case file != "" && mode != "rules":
		return nil, fmt.Errorf("--permission-rules: goes with --permissions rules, not %q", mode)
	case mode == "allow":
		return nil, nil
	case mode == "ask":
		p := permission.AskFirst()
		return &p, nil
	case mode != "rules":
		return nil, fmt.Errorf("--permissions: %q is none of allow, ask, rules", mode)
	case file == "":
		return nil, errors.New("--permissions rules needs --permission-rules FILE")
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--permission-rules: %w", err)
	}
	p, err := permission.Parse(data)
	if err != nil {
		return nil, prefix("--permission-rules: "+file, err)
	}
	return &p, nil
}

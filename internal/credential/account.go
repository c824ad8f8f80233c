package credential

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"
)

// DefaultAccount is the account that is used when the host has no login, and
// the one that a login without a name is for.
const DefaultAccount = "default"

var accountForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Accounts is a directory with logins of the runner's own, which share no token
// with any other machine or program:
//
//	AGENT/NAME/   the vendor's config directory, mode 0700, with the login file
type Accounts string

// Dir returns the directory of an account, which need not exist. The error says
// what a name may be.
func (a Accounts) Dir(kind, name string) (string, error) {
	if _, ok := lookup(kind); !ok {
		return "", fmt.Errorf("unknown agent %q: use %s or %s", kind, Claude, Codex)
	}
	if !accountForm.MatchString(name) {
		return "", fmt.Errorf("account %q: a name has up to 64 letters, digits, dots, dashes and underscores, and begins with a letter or digit", name)
	}
	return filepath.Join(string(a), kind, name), nil
}

// Find is FindMount for an account. It wraps ErrNoLogin when there is none.
func (a Accounts) Find(kind, name string) (Source, error) {
	dir, err := a.Dir(kind, name)
	if err != nil {
		return Source{}, err
	}
	vendor, _ := lookup(kind)
	src := Source{Agent: kind, Mode: ModeMount, Account: name, Path: filepath.Join(dir, vendor.file)}
	found, err := find(src, time.Now())
	if errors.Is(err, ErrNoLogin) {
		return Source{}, fmt.Errorf("%w for %s in account %s; %s", ErrNoLogin, kind, name, src.again())
	}
	return found, err
}

// Choose returns the login that a session has: that of account, or if it is empty
// the host's, or else the account "default", or else a variable's. A file wins,
// because it is the subscription that its owner pays for; one that is broken is an
// error rather than a reason to spend somebody's API key. mode may narrow the choice
// to files or to variables. It fails as FindMount does.
func (a Accounts) Choose(kind string, mode Mode, account string, getenv func(string) string, home string) (Source, error) {
	switch {
	case mode == ModeEnv && account != "":
		return Source{}, errors.New("an account is no variable: leave out --account or --credentials env")
	case mode == ModeEnv:
		return FindEnv(kind, getenv)
	case account != "":
		return a.Find(kind, account)
	}
	src, err := FindMount(kind, getenv, home)
	if !errors.Is(err, ErrNoLogin) {
		return src, err
	}
	if own, ownErr := a.Find(kind, DefaultAccount); !errors.Is(ownErr, ErrNoLogin) {
		return own, ownErr
	}
	if mode == "" {
		if env, envErr := FindEnv(kind, getenv); envErr == nil {
			return env, nil
		}
	}
	return src, err
}

// Adopt makes the login file in the vendor's config directory made, which nobody
// else uses, the login of an account, in place of the one that it has. It fails as
// FindMount does if there is none.
func (a Accounts) Adopt(kind, name, made string) error {
	dir, err := a.Dir(kind, name)
	if err != nil {
		return err
	}
	vendor, _ := lookup(kind)
	data, err := readFile(filepath.Join(made, vendor.file))
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNoLogin
	}
	if err == nil {
		_, err = parse(kind, data)
	}
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil {
		err = replace(filepath.Join(dir, vendor.file), data, func(string) error { return nil })
	}
	return err
}

// Remove deletes an account, its tokens included. It wraps ErrNoLogin when there
// is none.
func (a Accounts) Remove(kind, name string) error {
	dir, err := a.Dir(kind, name)
	if err != nil {
		return err
	}
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("%w for %s in account %s", ErrNoLogin, kind, name)
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove account %s: %w", name, err)
	}
	return nil
}

// List returns the logins of all accounts, sorted by agent and name.
func (a Accounts) List() []Info {
	var all []Info
	for _, kind := range []string{Claude, Codex} {
		entries, _ := os.ReadDir(filepath.Join(string(a), kind)) // none: no accounts
		for _, e := range entries {
			if _, err := a.Dir(kind, e.Name()); err == nil && e.IsDir() {
				src, err := a.Find(kind, e.Name())
				all = append(all, Describe(Source{Agent: kind, Account: e.Name(), Path: src.Path}, err))
			}
		}
	}
	return slices.Clip(all)
}

// Info is what can be said of a login without showing it.
type Info struct {
	Agent        string    `json:"agent"`
	Account      string    `json:"account,omitempty"` // empty: the host's login
	Where        string    `json:"where,omitempty"`   // file, or name of the variable
	Expires      time.Time `json:"expires,omitzero"`  // zero: unknown or never
	Subscription string    `json:"subscription,omitempty"`
	Renewable    bool      `json:"renewable"` // the runner can renew it
	Problem      string    `json:"problem,omitempty"`
}

// Describe returns what is known about src, which was found with err.
func Describe(src Source, err error) Info {
	i := Info{Agent: src.Agent, Account: src.Account, Where: src.Path}
	if src.Mode == ModeEnv {
		i.Where = src.Var
	}
	if err != nil {
		i.Problem = err.Error()
	}
	if src.Path == "" {
		return i
	}
	data, err := readFile(src.Path)
	if err != nil {
		return i
	}
	if l, err := parse(src.Agent, data); err == nil {
		i.Expires, i.Subscription, i.Renewable = l.expires, l.plan, l.renewable
	}
	return i
}

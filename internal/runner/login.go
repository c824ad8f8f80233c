package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sprawlto/ratchetai-runner/internal/agent"
	"github.com/sprawlto/ratchetai-runner/internal/credential"
	"github.com/sprawlto/ratchetai-runner/internal/event"
)

// hostDirHazard is said at the start of every session in mode host-dir.
const hostDirHazard = "--credentials host-dir: the agent can read all of the login's directory at " + loginDir +
	", the refresh token included; whoever gets that out can use this login and end it here"

// Login finds the login that t would have: that of t.Account, or else the host's,
// or else the account "default", or else a variable's. A login that has ended and
// can be renewed is one.
func (r *Runner) Login(t Task) (credential.Source, error) {
	return r.login(Record{Agent: agent.Options{Kind: t.Kind}, Login: string(t.Login), Account: t.Account})
}

func (r *Runner) login(rec Record) (credential.Source, error) {
	src, err := r.Store.Accounts().Choose(string(rec.Agent.Kind), credential.Mode(rec.Login), rec.Account, r.Getenv, r.Home)
	if errors.Is(err, credential.ErrExpired) && credential.Describe(src, nil).Renewable {
		err = nil
	}
	if credential.Mode(rec.Login) == credential.ModeHostDir {
		src.Mode = credential.ModeHostDir
	}
	return src, err
}

// Accounts are the logins of the runner's own.
func (s *Store) Accounts() credential.Accounts { return Accounts(s.root) }

// Accounts are the same, of the store at root, which need not be there.
func Accounts(root string) credential.Accounts {
	return credential.Accounts(filepath.Join(root, "accounts"))
}

// renewEnded renews a login that ended before the session began.
func (r *Runner) renewEnded(ctx context.Context, s *Session, login credential.Source) error {
	if login.Mode == credential.ModeEnv {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, helperTime)
	defer cancel()
	return r.keeper(login, s.Image, s.Permit, nil).Now(ctx)
}

// project gives the session what it may have of a login, now and whenever the
// host's changes, and makes its secrets known to the redactor.
func (r *Runner) project(s *Session, login credential.Source) (*credential.Projection, error) {
	owner, err := ownerFor(s.User)
	if err != nil {
		return nil, err
	}
	if err := readable(s.User, login); err != nil {
		return nil, err
	}
	dir := r.Store.dir(s.ID)
	p, err := credential.Project(login, filepath.Join(dir, "login"), credential.Options{Owner: owner})
	if err != nil {
		return nil, err
	}
	s.secrets.Add(p.Secrets()...)
	if err := linkLogin(filepath.Join(dir, "home"), s.Agent.Kind, p.Links, owner); err != nil {
		return nil, fmt.Errorf("prepare the agent's home: %w", err)
	}
	r.keep(s, login)
	go p.Watch(s.ctx, credential.Callbacks{
		Secrets: func(secrets [][]byte) { s.secrets.Add(secrets...) },
		Problem: func(err error) {
			s.emit(event.Notice{Kind: "warning", Text: "the login is not renewed: " + err.Error()})
		},
	})
	return p, nil
}

// readable fails if the agent could not read the login's file in mode host-dir.
func readable(user string, login credential.Source) error {
	if login.Mode != credential.ModeHostDir {
		return nil
	}
	owner, err := fileUser(login.Path)
	if err != nil {
		return err
	}
	uid, _, _ := strings.Cut(user, ":")
	if have, _, _ := strings.Cut(owner, ":"); have != uid {
		return fmt.Errorf("--credentials host-dir: %s belongs to uid %s and the agent runs as uid %s; use --user %s, or --credentials mount", login.Path, have, uid, owner)
	}
	return nil
}

// secretsFile holds, while a session runs, the secrets that came from the
// environment of the runner that started it: the one that takes over may have
// another environment, and must redact them too.
const secretsFile = "secrets"

func saveSecrets(dir string, secrets [][]byte) error {
	if len(secrets) == 0 {
		return nil
	}
	data, err := json.Marshal(secrets)
	if err == nil {
		err = writeFileOnce(filepath.Join(dir, secretsFile), data)
	}
	if err != nil {
		return fmt.Errorf("keep secrets: %w", err)
	}
	return nil
}

func loadSecrets(dir string) ([][]byte, error) {
	data, err := os.ReadFile(filepath.Join(dir, secretsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var secrets [][]byte
	if err == nil {
		err = json.Unmarshal(data, &secrets)
	}
	if err != nil {
		return nil, fmt.Errorf("load secrets: %w", err)
	}
	return secrets, nil
}

// secretValues returns the values of variables that are secrets by their names.
func secretValues(env []string) [][]byte {
	var values [][]byte
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		for _, end := range []string{"TOKEN", "SECRET", "PASSWORD", "KEY", "CREDENTIALS"} {
			if strings.HasSuffix(strings.ToUpper(name), end) {
				values = append(values, []byte(value))
				break
			}
		}
	}
	return values
}

// ownerFor returns who must own what the agent reads and writes; nil when that
// is this process anyway. Only root can give files away.
func ownerFor(user string) (*credential.Owner, error) {
	var o credential.Owner
	if _, err := fmt.Sscanf(user, "%d:%d", &o.UID, &o.GID); err != nil {
		return nil, fmt.Errorf("user %q is not UID:GID", user)
	}
	if os.Geteuid() == 0 {
		return &o, nil
	}
	return nil, nil
}

// linkLogin makes the agent's home and its config directory, in which the login
// is a link into the read-only mount. A session that is taken over has had the
// home for itself: what it put there must not lead us out of it, so a config
// directory that became something else is left alone.
func linkLogin(home string, kind agent.Kind, links map[string]string, owner *credential.Owner) error {
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(home)
	if err != nil {
		return err
	}
	defer root.Close()
	config := "." + string(kind)
	if err := root.Mkdir(config, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if info, err := root.Lstat(config); err != nil || !info.IsDir() {
		return err
	}
	made := []string{".", config}
	for name, target := range links {
		link := filepath.Join(config, name)
		err := root.Symlink(filepath.Join(loginDir, target), link)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		made = append(made, link)
	}
	if owner == nil {
		return nil
	}
	for _, path := range made {
		if err := root.Lchown(path, owner.UID, owner.GID); err != nil {
			return err
		}
	}
	return nil
}

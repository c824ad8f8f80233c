package runner

import (
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

// login finds the host's login for an agent; mode "" prefers a file to a variable.
func (r *Runner) login(kind agent.Kind, mode credential.Mode) (credential.Source, error) {
	switch mode {
	case "":
		return credential.Find(string(kind), r.Getenv, r.Home)
	case credential.ModeMount:
		return credential.FindMount(string(kind), r.Getenv, r.Home)
	case credential.ModeEnv:
		return credential.FindEnv(string(kind), r.Getenv)
	}
	return credential.Source{}, fmt.Errorf("unknown credential mode %q: use mount or env", mode)
}

// project gives the session what it may have of a login, now and whenever the
// host's changes, and makes its secrets known to the redactor.
func (r *Runner) project(s *Session, login credential.Source) (*credential.Projection, error) {
	owner, err := ownerFor(s.User)
	if err != nil {
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
	go p.Watch(s.ctx, credential.Callbacks{
		Secrets: func(secrets [][]byte) { s.secrets.Add(secrets...) },
		Problem: func(err error) {
			s.emit(event.Notice{Kind: "warning", Text: "the login is not renewed: " + err.Error()})
		},
	})
	return p, nil
}

// secretsFile holds, while a session runs, the secrets that came from the
// environment of the runner that started it: the one that takes over may have
// another environment, and must redact them too.
const secretsFile = "secrets"

func saveSecrets(dir string, secrets [][]byte) error {
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
		name, value, _ := strings.Cut(strings.ToUpper(e), "=")
		for _, end := range []string{"TOKEN", "SECRET", "PASSWORD", "KEY", "CREDENTIALS"} {
			if strings.HasSuffix(name, end) {
				values = append(values, []byte(e[len(e)-len(value):]))
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

package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/sprawlto/ratchetai-runner/internal/event"
	"github.com/sprawlto/ratchetai-runner/internal/workspace"
)

const (
	// guardedFile is what the guarded paths held before the agent had its prompt.
	guardedFile = "guarded.json"

	takeMax       = 10 * time.Second // one look at the workspace
	violationsMax = 100              // events about one session
)

// remember stores what the guarded paths hold, once: a runner that takes over
// goes by what the first one saw. The agent must not have had its prompt.
func (r *Runner) remember(ctx context.Context, s *Session) error {
	file := filepath.Join(r.Store.dir(s.ID), guardedFile)
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, takeMax)
	defer cancel()
	before, err := workspace.Take(ctx, s.Workspace, s.AllowPaths)
	if err == nil {
		err = writeJSON(file, before)
	}
	if err != nil {
		return fmt.Errorf("remember the guarded paths: %w", err)
	}
	return nil
}

// violations are the guarded paths that are not as they were; nothing if the
// agent never had its prompt.
func (s *Session) violations() []event.Data {
	data, err := os.ReadFile(filepath.Join(s.runner.Store.dir(s.ID), guardedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var before, after workspace.Snapshot
	if err == nil {
		err = json.Unmarshal(data, &before)
	}
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), takeMax)
		defer cancel()
		after, err = workspace.Take(ctx, s.Workspace, s.AllowPaths)
	}
	if err != nil {
		return []event.Data{warning("the workspace's guarded paths could not be compared: " + err.Error())}
	}
	var list []event.Data
	changes := workspace.Compare(before, after)
	for i, c := range changes {
		if i == violationsMax {
			list = append(list, warning(fmt.Sprintf("%d more guarded paths changed", len(changes)-i)))
			break
		}
		list = append(list, event.PathViolation{Path: c.Path, What: string(c.What), Reason: c.Reason})
	}
	for _, cut := range []string{before.Cut, after.Cut} {
		if cut != "" {
			return append(list, warning("not all guarded paths of the workspace were compared: "+cut))
		}
	}
	return list
}

func warning(text string) event.Notice { return event.Notice{Kind: "warning", Text: text} }

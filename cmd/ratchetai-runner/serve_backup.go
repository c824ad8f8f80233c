package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sprawlto/ratchetai-runner/internal/store"
)

const dataUsage = "directory of the database (default: control-plane in the state directory)"

// serveBackup and serveRestore copy a control plane's data. What is in a backup is as
// secret as the sessions are; tokens and passwords are in it as hashes.
func (a *app) serveBackup() *cobra.Command {
	var data string
	c := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write a consistent copy of the database and the artifacts, as a tar file",
		Long: `Write a consistent copy of the database and the artifacts to FILE, a tar file, or with - to stdout. The control
plane may go on meanwhile. There must be room for another database beside the database.`,
		Args: only(1, 1, "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := a.dataDir(data)
			if err != nil {
				return err
			}
			if args[0] == "-" {
				return store.Backup(cmd.Context(), dir, a.Out)
			}
			return writeWhole(args[0], func(w io.Writer) error { return store.Backup(cmd.Context(), dir, w) })
		},
	}
	c.Flags().StringVar(&data, "data", "", dataUsage)
	return c
}

func (a *app) serveRestore() *cobra.Command {
	var data string
	c := &cobra.Command{
		Use:   "restore FILE",
		Short: "Make the database of a backup, where there is none",
		Long: `Make the database and the artifacts of a backup that serve backup wrote to FILE, or with - of stdin. The
directory must not hold a database yet.`,
		Args: only(1, 1, "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := a.dataDir(data)
			if err != nil {
				return err
			}
			in := io.Reader(a.In)
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return usageError{err}
				}
				defer f.Close()
				in = f
			}
			err = store.Restore(cmd.Context(), dir, in)
			if errors.Is(err, fs.ErrExist) {
				err = usageError{fmt.Errorf("%s has a database already, or the rest of one (-wal): move it away, or name another directory with --data", dir)}
			}
			return err
		},
	}
	c.Flags().StringVar(&data, "data", "", dataUsage)
	return c
}

// dataDir is the directory of the database.
func (a *app) dataDir(flag string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	state, err := a.stateDir()
	return filepath.Join(state, "control-plane"), err
}

// writeWhole makes a file that only its owner may read, all of it or none.
func writeWhole(name string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if err := errors.Join(write(f), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

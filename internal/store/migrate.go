package store

import (
	"context"
	"crypto/sha256"
	dbsql "database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
)

//go:generate go run github.com/sqlc-dev/sqlc/cmd/sqlc@v1.31.1 generate

//go:embed migrations/*.sql
var migrationFiles embed.FS

// ErrNewer says that a newer version of the program wrote the database.
var ErrNewer = errors.New("a newer version of ratchetai-runner wrote this database: use that or a later one")

// migrations returns the files that make the schema, in the order of their names, of
// which the first is version 1. One that was released is never changed.
func migrations() fs.FS {
	sub, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		panic(err) // the name is valid
	}
	return sub
}

// migrate brings the database to the last version of files, each step in one
// transaction.
func migrate(ctx context.Context, c *dbsql.Conn, files fs.FS) error {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return err
	}
	const table = `CREATE TABLE IF NOT EXISTS migrations (
		version BIGINT PRIMARY KEY NOT NULL, name TEXT NOT NULL, checksum TEXT NOT NULL)`
	if _, err := c.ExecContext(ctx, table); err != nil {
		return err
	}
	var have int
	if err := c.QueryRowContext(ctx, "SELECT COALESCE(MAX(version), 0) FROM migrations").Scan(&have); err != nil {
		return err
	}
	if have > len(names) {
		return fmt.Errorf("%w (its version is %d, this program knows %d)", ErrNewer, have, len(names))
	}
	for i, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		if i < have {
			err = checkMigration(ctx, c, i+1, text)
		} else {
			err = applyMigration(ctx, c, i+1, name, text)
		}
		if err != nil {
			return fmt.Errorf("migration %s: %w", name, err)
		}
	}
	return nil
}

// checkMigration refuses a database that was made by other statements.
func checkMigration(ctx context.Context, c *dbsql.Conn, version int, text []byte) error {
	var sum string
	if err := c.QueryRowContext(ctx, "SELECT checksum FROM migrations WHERE version = ?", version).Scan(&sum); err != nil {
		return err
	}
	if sum != checksum(text) {
		return errors.New("the database was made by another text of it: use the version of ratchetai-runner that wrote it")
	}
	return nil
}

func applyMigration(ctx context.Context, c *dbsql.Conn, version int, name string, text []byte) error {
	tx, err := c.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	if _, err := tx.ExecContext(ctx, string(text)); err != nil {
		return err
	}
	const done = "INSERT INTO migrations (version, name, checksum) VALUES (?, ?, ?)"
	if _, err := tx.ExecContext(ctx, done, version, name, checksum(text)); err != nil {
		return err
	}
	return tx.Commit()
}

func checksum(text []byte) string { return fmt.Sprintf("%x", sha256.Sum256(text)) }

-- name: Runners :many
SELECT id, device, seen_at, state FROM runners ORDER BY id;

-- name: Runner :one
SELECT device FROM runners WHERE id = ?;

-- name: RunnerOfDevice :one
SELECT id FROM runners WHERE device = ?;

-- name: ValidToken :one
SELECT COUNT(*) FROM tokens WHERE id = @id AND revoked_at = 0 AND (expires_at = 0 OR expires_at > @now);

-- name: SaveRunner :exec
INSERT INTO runners (id, device, seen_at, state) VALUES (@id, @device, @seen_at, @state)
ON CONFLICT (id) DO UPDATE SET device = excluded.device, seen_at = excluded.seen_at, state = excluded.state;

-- name: DeleteRunner :execrows
DELETE FROM runners WHERE id = ?;

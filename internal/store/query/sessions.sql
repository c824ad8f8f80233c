-- name: InsertSession :one
INSERT INTO sessions (id, task, state, attempt, runner, runner_name, workspace, offered_at, started_at, finished_at,
    last_seq, commands, stop_outcome, stop_reason, outcome, reason, usage)
VALUES (@id, @task, @state, @attempt, @runner, @runner_name, @workspace, @offered_at, @started_at, 0,
    0, 0, '', '', '', '', '')
RETURNING key;

-- name: Session :one
SELECT * FROM sessions WHERE id = ?;

-- name: SessionKey :one
SELECT key, last_seq FROM sessions WHERE id = ?;

-- name: SessionIDs :many
SELECT id FROM sessions WHERE id LIKE @prefix OR id LIKE @suffix LIMIT 2;

-- name: SessionsOfTask :many
SELECT * FROM sessions WHERE task = @task AND key < @before ORDER BY key DESC LIMIT @max_rows;

-- name: ListSessions :many
SELECT * FROM sessions WHERE key < @before ORDER BY key DESC LIMIT @max_rows;

-- name: ListSessionsIn :many
SELECT * FROM sessions WHERE state = @state AND key < @before ORDER BY key DESC LIMIT @max_rows;

-- name: HeldSessions :many
SELECT * FROM sessions
WHERE state IN ('offered', 'accepted', 'running')
ORDER BY key;

-- name: OpenSessionsOfRunner :one
SELECT COUNT(*) FROM sessions WHERE runner = ? AND state IN ('offered', 'accepted', 'running');

-- name: SetSession :exec
UPDATE sessions
SET state = @state, started_at = @started_at, finished_at = @finished_at, last_seq = @last_seq,
    outcome = @outcome, reason = @reason, usage = @usage
WHERE key = @key;

-- name: SetLastSeq :exec
UPDATE sessions SET last_seq = @last_seq WHERE key = @key;

-- name: StopSession :execrows
UPDATE sessions SET stop_outcome = @outcome, stop_reason = @reason
WHERE id = @id AND state IN ('offered', 'accepted', 'running', 'lost');

-- name: CountCommand :one
UPDATE sessions SET commands = commands + 1 WHERE key = ? RETURNING commands;

-- name: DeleteSession :exec
DELETE FROM sessions WHERE key = ?;

-- name: InsertCommand :exec
INSERT INTO commands (session, seq, id, created_at, created_by, body) VALUES (?, ?, ?, ?, ?, ?);

-- name: Command :one
SELECT * FROM commands WHERE session = ? AND id = ?;

-- name: Commands :many
SELECT * FROM commands WHERE session = ? AND seq > ? ORDER BY seq LIMIT ?;

-- name: DeleteCommands :exec
DELETE FROM commands WHERE session = ?;

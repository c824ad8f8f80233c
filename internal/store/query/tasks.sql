-- name: InsertTask :exec
INSERT INTO tasks (id, state, created_at, created_by, request_key, attempts, session, outcome, reason, finished_at,
    dismissed, spec)
VALUES (@id, @state, @created_at, @created_by, @request_key, 0, '', '', '', 0, 0, @spec);

-- name: Task :one
SELECT * FROM tasks WHERE id = ?;

-- name: TaskByKey :one
SELECT * FROM tasks WHERE created_by = ? AND request_key = ? AND request_key <> '';

-- name: TaskIDs :many
SELECT id FROM tasks WHERE id LIKE @prefix OR id LIKE @suffix LIMIT 2;

-- name: ListTasks :many
SELECT id FROM tasks WHERE id < @before ORDER BY id DESC LIMIT @max_rows;

-- name: ListTasksIn :many
SELECT id FROM tasks WHERE state = @state AND id < @before ORDER BY id DESC LIMIT @max_rows;

-- name: SetTask :execrows
UPDATE tasks
SET state = @state, attempts = @attempts, session = @session, outcome = @outcome,
    reason = @reason, finished_at = @finished_at, dismissed = @dismissed
WHERE id = @id AND state = @was;

-- name: FinishedTasks :many
SELECT id FROM tasks WHERE state = 'finished' AND finished_at < ? ORDER BY finished_at LIMIT ?;

-- name: DeleteTask :exec
DELETE FROM tasks WHERE id = ?;

-- name: Outcomes :many
SELECT id FROM tasks
WHERE state = 'finished' AND dismissed = 0 AND outcome NOT IN ('succeeded', 'cancelled')
ORDER BY finished_at LIMIT ?;

-- name: Dismiss :execrows
UPDATE tasks SET dismissed = 1 WHERE id = ? AND state = 'finished';

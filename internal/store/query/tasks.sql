-- name: InsertTask :exec
INSERT INTO tasks (id, state, priority, agent, workspace, runner, not_before, deadline, created_at, created_by,
    request_key, queued_at, attempts, session, outcome, reason, finished_at, dismissed, spec)
VALUES (@id, @state, @priority, @agent, @workspace, @runner, @not_before, @deadline, @created_at, @created_by,
    @request_key, @created_at, 0, '', '', '', 0, 0, @spec);

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

-- name: Queue :many
-- Parameters behind the lists would get wrong numbers, so the limit is fixed.
SELECT id, priority FROM tasks
WHERE state = 'queued' AND not_before <= @now
  AND (priority < @priority OR (priority = @priority AND id > @id))
  AND agent IN (sqlc.slice('agents'))
  AND workspace IN (sqlc.slice('workspaces'))
  AND runner IN (sqlc.slice('runners'))
ORDER BY priority DESC, id
LIMIT 20;

-- name: OverdueTasks :many
SELECT id FROM tasks WHERE state <> 'finished' AND deadline > 0 AND deadline <= ? ORDER BY deadline LIMIT 1000;

-- name: NextDeadline :one
SELECT deadline FROM tasks WHERE state <> 'finished' AND deadline > 0 AND deadline > ? ORDER BY deadline LIMIT 1;

-- name: NextNotBefore :one
SELECT not_before FROM tasks WHERE state = 'queued' AND not_before > 0 AND not_before > ? ORDER BY not_before LIMIT 1;

-- name: SetTask :execrows
UPDATE tasks
SET state = @state, queued_at = @queued_at, attempts = @attempts, session = @session, outcome = @outcome,
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

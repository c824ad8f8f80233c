-- name: AppendState :one
SELECT s.key, s.runner, s.state, s.last_seq, t.session AS newest
FROM sessions s JOIN tasks t ON t.id = s.task WHERE s.id = ?;

-- name: InsertEvent :exec
INSERT INTO events (id, v, time, type, raw_form, data, raw) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: DeleteEvents :execrows
DELETE FROM events WHERE id BETWEEN @first AND @last;

-- name: OpenAsk :exec
INSERT INTO asks (session, ask, open, opened_at, seq) VALUES (@session, @ask, 1, @opened_at, @seq)
ON CONFLICT (session, ask) DO NOTHING;

-- name: CloseAsk :execrows
UPDATE asks SET open = 0 WHERE session = ? AND ask = ? AND open = 1;

-- name: CloseAsks :execrows
UPDATE asks SET open = 0 WHERE session = ? AND open = 1;

-- name: Ask :one
SELECT e.data FROM asks a JOIN sessions s ON s.key = a.session JOIN events e ON e.id = a.session * 4294967296 + a.seq
WHERE s.id = @session AND a.ask = @ask AND a.open = 1 AND s.state IN ('offered', 'accepted', 'running');

-- name: OpenAsks :many
SELECT s.id, s.task, a.ask, a.opened_at FROM asks a JOIN sessions s ON s.key = a.session
WHERE a.open = 1 AND s.state IN ('offered', 'accepted', 'running')
ORDER BY a.opened_at LIMIT ?;

-- name: DeleteAsks :exec
DELETE FROM asks WHERE session = ?;

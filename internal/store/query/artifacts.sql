-- name: Artifact :one
SELECT a.* FROM artifacts a JOIN sessions s ON s.key = a.session WHERE s.id = @session AND a.name = @name;

-- name: PutArtifact :exec
INSERT INTO artifacts (session, name, size, sha256, complete) VALUES (@session, @name, @size, @sha256, @complete)
ON CONFLICT (session, name) DO UPDATE SET size = excluded.size, sha256 = excluded.sha256, complete = excluded.complete;

-- name: ArtifactsWith :one
SELECT COUNT(*) FROM artifacts WHERE sha256 = ? AND complete = 1;

-- name: ArtifactNames :many
SELECT name FROM artifacts WHERE session = ? AND complete = 0;

-- name: DeleteArtifacts :exec
DELETE FROM artifacts WHERE session = ?;

-- name: Owner :one
SELECT name, password FROM owner WHERE id = 1;

-- name: SetOwner :exec
INSERT INTO owner (id, name, password) VALUES (1, @name, @password)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, password = excluded.password;

-- name: InsertToken :exec
INSERT INTO tokens (id, kind, person, name, labels, sha256, created_at, expires_at, used_at, revoked_at)
VALUES (@id, @kind, @person, @name, @labels, @sha256, @created_at, @expires_at, 0, 0);

-- name: TokenBySHA256 :one
SELECT t.id, t.kind, t.person, t.name, t.labels, t.used_at, CAST(COALESCE(r.id, '') AS TEXT) AS runner
FROM tokens t LEFT JOIN runners r ON r.device = t.id
WHERE t.sha256 = @sha256 AND t.revoked_at = 0 AND (t.expires_at = 0 OR t.expires_at > @now);

-- name: TokenUsed :exec
UPDATE tokens SET used_at = @used_at WHERE id = @id AND used_at < @used_at;

-- name: Tokens :many
SELECT t.id, t.kind, t.person, t.name, t.labels, t.created_at, t.expires_at, t.used_at, t.revoked_at,
    CAST(COALESCE(r.id, '') AS TEXT) AS runner
FROM tokens t LEFT JOIN runners r ON r.device = t.id
WHERE t.kind = ? ORDER BY t.id DESC LIMIT 1000;

-- name: TokenIDs :many
SELECT id FROM tokens
WHERE kind = @kind AND revoked_at = 0 AND (id LIKE @prefix OR id LIKE @suffix OR name = @name) LIMIT 2;

-- name: Token :one
SELECT * FROM tokens WHERE id = ?;

-- name: RevokeToken :exec
UPDATE tokens SET revoked_at = @now WHERE id = @id AND revoked_at = 0;

-- name: RevokeTokens :many
UPDATE tokens SET revoked_at = @now WHERE kind = @kind AND revoked_at = 0 RETURNING id;

-- name: DeleteTokens :execrows
DELETE FROM tokens
WHERE (revoked_at > 0 AND revoked_at < @before OR expires_at > 0 AND expires_at < @before)
  AND NOT EXISTS (SELECT 1 FROM runners r WHERE r.device = tokens.id);

-- name: Record :exec
INSERT INTO audit (time, actor, action, target, detail, from_addr) VALUES (?, ?, ?, ?, ?, ?);

-- name: AuditLog :many
SELECT * FROM audit WHERE id < @before ORDER BY id DESC LIMIT @max_rows;

-- name: DeleteAudit :execrows
DELETE FROM audit WHERE id IN (SELECT a.id FROM audit a WHERE a.time < @before ORDER BY a.time LIMIT 1000);

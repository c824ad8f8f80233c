-- The columns by which rows are selected come before what can be large, so that a scan does
-- not read overflow pages. Times are Unix nanoseconds, 0 for none; booleans are 0 and 1.

CREATE TABLE owner (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    name     TEXT NOT NULL,
    password TEXT NOT NULL -- its hash
);

CREATE TABLE tokens (
    id         TEXT   PRIMARY KEY NOT NULL,
    kind       TEXT   NOT NULL,
    person     TEXT   NOT NULL, -- empty for a device
    name       TEXT   NOT NULL,
    labels     TEXT   NOT NULL, -- JSON
    sha256     BLOB   NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT NOT NULL,
    revoked_at BIGINT NOT NULL
);
CREATE INDEX tokens_kind ON tokens (kind, id);

CREATE TABLE runners (
    id      TEXT   PRIMARY KEY NOT NULL,
    device  TEXT   NOT NULL UNIQUE, -- id of its token
    seen_at BIGINT NOT NULL,
    state   BLOB   NOT NULL -- JSON of api.Runner
);

CREATE TABLE tasks (
    id          TEXT   PRIMARY KEY NOT NULL,
    state       TEXT   NOT NULL CHECK (state IN ('queued', 'assigned', 'running', 'finished')),
    created_at  BIGINT NOT NULL,
    created_by  TEXT   NOT NULL,
    request_key TEXT   NOT NULL,
    attempts    BIGINT NOT NULL,
    session     TEXT   NOT NULL, -- id of the newest one
    outcome     TEXT   NOT NULL,
    reason      TEXT   NOT NULL,
    finished_at BIGINT NOT NULL,
    dismissed   BIGINT NOT NULL,
    spec        BLOB   NOT NULL -- JSON of task.Spec
);
CREATE UNIQUE INDEX tasks_request ON tasks (created_by, request_key) WHERE request_key <> '';
CREATE INDEX tasks_state ON tasks (state, id);
CREATE INDEX tasks_finished ON tasks (state, finished_at);
CREATE INDEX tasks_inbox ON tasks (dismissed, finished_at)
    WHERE state = 'finished' AND dismissed = 0 AND outcome NOT IN ('succeeded', 'cancelled');

-- The key of a session is its lease token, too: it is greater than that of every earlier one.
CREATE TABLE sessions (
    key            INTEGER PRIMARY KEY AUTOINCREMENT,
    id             TEXT   NOT NULL UNIQUE,
    task           TEXT   NOT NULL REFERENCES tasks (id),
    state          TEXT   NOT NULL CHECK (state IN
        ('offered', 'accepted', 'running', 'finished', 'declined', 'returned', 'lost')),
    attempt        BIGINT NOT NULL,
    runner         TEXT   NOT NULL,
    runner_name    TEXT   NOT NULL,
    workspace      TEXT   NOT NULL,
    offered_at     BIGINT NOT NULL,
    started_at     BIGINT NOT NULL,
    finished_at    BIGINT NOT NULL,
    last_seq       BIGINT NOT NULL,
    commands       BIGINT NOT NULL, -- the newest command
    stop_outcome   TEXT   NOT NULL,
    stop_reason    TEXT   NOT NULL,
    outcome        TEXT   NOT NULL,
    reason         TEXT   NOT NULL,
    usage          TEXT   NOT NULL -- JSON of event.Usage, or empty
);
CREATE INDEX sessions_task ON sessions (task, key);
CREATE INDEX sessions_state ON sessions (state, key);
CREATE INDEX sessions_runner ON sessions (runner) WHERE state IN ('offered', 'accepted', 'running');

CREATE TABLE commands (
    session    BIGINT NOT NULL REFERENCES sessions (key),
    seq        BIGINT NOT NULL,
    id         TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT   NOT NULL,
    body       BLOB   NOT NULL, -- JSON of api.NewCommand
    PRIMARY KEY (session, seq),
    UNIQUE (session, id)
) WITHOUT ROWID;

-- id is the session's key * 2^32 + seq: a session's events lie side by side.
CREATE TABLE events (
    id       INTEGER PRIMARY KEY,
    v        BIGINT NOT NULL,
    time     BIGINT NOT NULL,
    type     TEXT   NOT NULL,
    raw_form BIGINT NOT NULL, -- 0 none, 1 JSON, 2 other bytes, 3 JSON of api.RawRef
    data     BLOB   NOT NULL,
    raw      BLOB   NOT NULL
);

CREATE TABLE asks (
    session   BIGINT NOT NULL REFERENCES sessions (key),
    ask       TEXT   NOT NULL,
    open      BIGINT NOT NULL,
    opened_at BIGINT NOT NULL,
    seq       BIGINT NOT NULL, -- of the event that opened it
    PRIMARY KEY (session, ask)
) WITHOUT ROWID;
CREATE INDEX asks_open ON asks (open, opened_at) WHERE open = 1;

CREATE TABLE artifacts (
    session    BIGINT NOT NULL REFERENCES sessions (key),
    name       TEXT   NOT NULL,
    size       BIGINT NOT NULL,
    sha256     TEXT   NOT NULL,
    complete   BIGINT NOT NULL,
    PRIMARY KEY (session, name)
) WITHOUT ROWID;
CREATE INDEX artifacts_content ON artifacts (sha256);

CREATE TABLE audit (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    time      BIGINT NOT NULL,
    actor     TEXT   NOT NULL,
    action    TEXT   NOT NULL,
    target    TEXT   NOT NULL,
    detail    TEXT   NOT NULL,
    from_addr TEXT   NOT NULL
);
CREATE INDEX audit_time ON audit (time);

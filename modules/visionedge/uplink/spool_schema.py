"""The tables of the spool.

Bodies have a table of their own, so that marking a message as sent rewrites a short row and
not 180 kB of picture: on flash that halves the wear. Totals are kept by triggers, so they
are right after a crash and a roll-back too, and cost one look however long the queue is.
All `_s` columns are lived seconds (`spool_time`); wall times are only carried along.
"""

from typing import Final

APPLICATION_ID: Final = 0x56534750
"""In the file's header; `file` and the guard against a foreign database go by it."""
SCHEMA_VERSION: Final = 1

SCHEMA: Final = f"""
PRAGMA application_id = {APPLICATION_ID};
BEGIN IMMEDIATE;
CREATE TABLE life (lived_s REAL NOT NULL, wall_s REAL NOT NULL) STRICT;
INSERT INTO life VALUES ({{lived_s}}, {{wall_s}});

CREATE TABLE envelopes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'sent')),
    value REAL NOT NULL,
    size_bytes INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    put_s REAL NOT NULL,
    dies_s REAL NOT NULL,
    sent_s REAL,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    content_type TEXT NOT NULL,
    properties TEXT NOT NULL,
    note TEXT NOT NULL
) STRICT;
CREATE INDEX envelopes_best ON envelopes (kind, state, value DESC, seq);
CREATE INDEX envelopes_least ON envelopes (kind, state, value, seq);
CREATE INDEX envelopes_dying ON envelopes (dies_s);
CREATE TABLE bodies (
    seq INTEGER PRIMARY KEY REFERENCES envelopes (seq) ON DELETE CASCADE,
    body BLOB NOT NULL
) STRICT;

CREATE TABLE settled (id TEXT PRIMARY KEY, outcome TEXT NOT NULL, at_s REAL NOT NULL) STRICT;
CREATE INDEX settled_old ON settled (at_s);

CREATE TABLE ledger (
    kind TEXT NOT NULL, entry TEXT NOT NULL,
    messages INTEGER NOT NULL, size_bytes INTEGER NOT NULL,
    PRIMARY KEY (kind, entry)
) STRICT;

CREATE TABLE totals (
    kind TEXT NOT NULL, state TEXT NOT NULL,
    messages INTEGER NOT NULL DEFAULT 0, size_bytes INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, state)
) STRICT;
CREATE TRIGGER envelope_in AFTER INSERT ON envelopes BEGIN
    INSERT INTO totals VALUES (NEW.kind, NEW.state, 1, NEW.size_bytes)
    ON CONFLICT DO UPDATE SET messages = messages + 1, size_bytes = size_bytes + NEW.size_bytes;
END;
CREATE TRIGGER envelope_out AFTER DELETE ON envelopes BEGIN
    UPDATE totals SET messages = messages - 1, size_bytes = size_bytes - OLD.size_bytes
    WHERE kind = OLD.kind AND state = OLD.state;
END;
CREATE TRIGGER envelope_moved AFTER UPDATE OF state ON envelopes WHEN OLD.state <> NEW.state BEGIN
    UPDATE totals SET messages = messages - 1, size_bytes = size_bytes - OLD.size_bytes
    WHERE kind = OLD.kind AND state = OLD.state;
    INSERT INTO totals VALUES (NEW.kind, NEW.state, 1, NEW.size_bytes)
    ON CONFLICT DO UPDATE SET messages = messages + 1, size_bytes = size_bytes + NEW.size_bytes;
END;
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""

ADDITIONS: Final = (
    """CREATE TABLE IF NOT EXISTS agreement (
        label TEXT NOT NULL, outcome TEXT NOT NULL, objects INTEGER NOT NULL,
        PRIMARY KEY (label, outcome)
    ) STRICT""",
    """CREATE TABLE IF NOT EXISTS made (
        at_s REAL NOT NULL, camera TEXT NOT NULL, size_bytes INTEGER NOT NULL
    ) STRICT""",
    "CREATE INDEX IF NOT EXISTS made_at ON made (at_s)",
    """CREATE TABLE IF NOT EXISTS unkept (
        cause TEXT PRIMARY KEY, questions INTEGER NOT NULL
    ) STRICT""",
    """CREATE TABLE IF NOT EXISTS outages (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        began_at TEXT NOT NULL, began_s REAL NOT NULL, before TEXT NOT NULL,
        offline INTEGER NOT NULL DEFAULT 0,
        ended_at TEXT, ended_s REAL, after TEXT
    ) STRICT""",
)
"""Tables that came later: made where they are missing, so that a file of an older release is
used as it is, and an older release can still use the file."""

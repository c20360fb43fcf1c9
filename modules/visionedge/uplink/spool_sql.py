"""Every statement that the spool runs, as a function of the open transaction.

Values go in and come out as the module's own types; the meaning is in `spool`.
"""

import itertools
import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from visionedge.entities import Envelope, Kind, Outcome
from visionedge.uplink.spool_rows import (
    CONTROL,
    SHARES,
    Backlog,
    Cause,
    Loss,
    Made,
    Tally,
    Unsettled,
)

MOST_LABELS: Final = 128
"""Labels of missed objects come from outside, so their number must have an end."""
OTHER: Final = "(other)"
_IS_CONTROL: Final = f"(ifnull(properties ->> '$.reason', '') = '{CONTROL}')"
"""Read from the properties, so that files of an older release need no new column."""
Connection = sqlite3.Connection
Row = tuple[str, Kind, int]
"""id, kind and size in bytes."""


def insert(
    db: Connection, envelope: Envelope, note: Mapping[str, Any], now_s: float, max_age_s: float
) -> None:
    """Add an envelope as ready; it dies after its own time to live or `max_age_s`."""
    ttl_s = (envelope.expires_at - envelope.created_at).total_seconds()
    columns = {
        "id": envelope.id,
        "kind": envelope.kind,
        "value": envelope.value,
        "size_bytes": envelope.size_bytes,
        "put_s": now_s,
        "dies_s": now_s + min(ttl_s, max_age_s),
        "created_at": envelope.created_at.isoformat(),
        "expires_at": envelope.expires_at.isoformat(),
        "content_type": envelope.content_type,
        "properties": json.dumps(dict(envelope.properties)),
        "note": json.dumps(note),
    }
    names = ", ".join(columns)
    places = ", ".join("?" * len(columns))
    seq = db.execute(
        f"INSERT INTO envelopes ({names}) VALUES ({places})", tuple(columns.values())
    ).lastrowid
    db.execute("INSERT INTO bodies VALUES (?, ?)", (seq, envelope.body))


def note_made(db: Connection, envelope: Envelope, now_s: float) -> None:
    """Remember that an escalation was made, for the budgets of the next process."""
    db.execute(
        "INSERT INTO made VALUES (?, ?, ?)",
        (now_s, envelope.properties.get("camera", ""), envelope.size_bytes),
    )


def made_since(db: Connection, oldest_s: float, now_s: float) -> list[Made]:
    """Escalations made after `oldest_s`, the oldest first."""
    rows = db.execute(
        "SELECT camera, size_bytes, at_s FROM made WHERE at_s > ? ORDER BY at_s", (oldest_s,)
    )
    return [Made(camera, size_bytes, now_s - at_s) for camera, size_bytes, at_s in rows]


def forget_made(db: Connection, oldest_s: float) -> None:
    """Forget escalations made up to `oldest_s`."""
    db.execute("DELETE FROM made WHERE at_s <= ?", (oldest_s,))


def best(db: Connection, kind: Kind, skip: Collection[str]) -> Envelope | None:
    """The most valuable ready envelope of `kind` but those in `skip`, the oldest among equals."""
    places = ", ".join("?" * len(skip))
    row = db.execute(
        "SELECT id, value, created_at, expires_at, content_type, properties, body "
        "FROM envelopes JOIN bodies USING (seq) "
        f"WHERE kind = ? AND state = 'ready' AND id NOT IN ({places}) "
        "ORDER BY value DESC, seq LIMIT 1",
        (kind, *skip),
    ).fetchone()
    if row is None:
        return None
    id_, value, created_at, expires_at, content_type, properties, body = row
    return Envelope(
        id=id_,
        kind=kind,
        value=value,
        created_at=datetime.fromisoformat(created_at),
        expires_at=datetime.fromisoformat(expires_at),
        body=body,
        properties=json.loads(properties),
        content_type=content_type,
    )


def least_valuable(
    db: Connection, kind: Kind, most_value: float, *, control: bool = False
) -> Iterator[Row]:
    """Ready envelopes of `kind` worth at most `most_value`, the least and oldest first.

    Args:
        control: look among the control sample, else among all others.
    """
    rows = db.execute(
        "SELECT id, size_bytes FROM envelopes "
        f"WHERE kind = ? AND state = 'ready' AND value <= ? AND {_IS_CONTROL} = ? "
        "ORDER BY value, seq",
        (kind, most_value, control),
    )
    return ((id_, kind, size_bytes) for id_, size_bytes in rows)


def control_bytes(db: Connection) -> int:
    """Of the control sample, ready and sent."""
    row = db.execute(
        f"SELECT total(size_bytes) FROM envelopes WHERE kind = ? AND {_IS_CONTROL}",
        (Kind.ESCALATION,),
    ).fetchone()
    return int(row[0])


def outlived(db: Connection, now_s: float, oldest_s: float, most: int) -> list[Row]:
    """Envelopes whose time is over, or that were put up to `oldest_s`."""
    columns = "SELECT id, kind, size_bytes, put_s FROM envelopes"
    dead = db.execute(f"{columns} WHERE dies_s <= ? LIMIT ?", (now_s, most)).fetchall()
    # Lived time never goes back, so those come first: no index is needed to find them.
    by_age = db.execute(f"{columns} ORDER BY seq LIMIT ?", (most,))
    dead += itertools.takewhile(lambda row: row[3] <= oldest_s, by_age)
    rows = {id_: (id_, Kind(kind), size_bytes) for id_, kind, size_bytes, _ in dead}
    return list(rows.values())[:most]


def kind_and_size(db: Connection, envelope_id: str) -> tuple[Kind, int] | None:
    """Of an envelope that is there."""
    row = db.execute(
        "SELECT kind, size_bytes FROM envelopes WHERE id = ?", (envelope_id,)
    ).fetchone()
    return None if row is None else (Kind(row[0]), row[1])


def unsettled(db: Connection, escalation_id: str, now_s: float) -> Unsettled | None:
    """What is needed to settle an escalation."""
    row = db.execute(
        "SELECT created_at, put_s, attempts, size_bytes, note FROM envelopes "
        "WHERE id = ? AND kind = ?",
        (escalation_id, Kind.ESCALATION),
    ).fetchone()
    if row is None:
        return None
    created_at, put_s, attempts, size_bytes, note = row
    return Unsettled(
        id=escalation_id,
        created_at=datetime.fromisoformat(created_at),
        age_s=now_s - put_s,
        attempts=attempts,
        size_bytes=size_bytes,
        note=json.loads(note),
    )


def body(db: Connection, escalation_id: str) -> bytes | None:
    """Of an escalation that is there."""
    row = db.execute(
        "SELECT body FROM envelopes JOIN bodies USING (seq) WHERE id = ? AND kind = ?",
        (escalation_id, Kind.ESCALATION),
    ).fetchone()
    return None if row is None else bytes(row[0])


def mark_sent(db: Connection, escalation_id: str, now_s: float) -> None:
    """From now on a verdict is awaited."""
    db.execute(
        "UPDATE envelopes SET state = 'sent', sent_s = ?, attempts = attempts + 1 WHERE id = ?",
        (now_s, escalation_id),
    )


def missing(db: Connection, sent_before_s: float, most: int) -> list[str]:
    """Escalations without an answer that were sent up to then."""
    rows = db.execute(
        "SELECT id FROM envelopes WHERE kind = ? AND state = 'sent' AND sent_s <= ? "
        "ORDER BY sent_s LIMIT ?",
        (Kind.ESCALATION, sent_before_s, most),
    )
    return [id_ for (id_,) in rows]


def make_ready(db: Connection, now_s: float, timeout_s: float, most_doublings: int) -> int:
    """Return sent escalations to the ready ones; the timeout doubles with each attempt."""
    return db.execute(
        "UPDATE envelopes SET state = 'ready' WHERE kind = ? AND state = 'sent' "
        "AND sent_s + ? * (1 << min(attempts - 1, ?)) <= ?",
        (Kind.ESCALATION, timeout_s, most_doublings, now_s),
    ).rowcount


def remove(db: Connection, envelope_id: str) -> None:
    """Take an envelope out, with its body."""
    db.execute("DELETE FROM envelopes WHERE id = ?", (envelope_id,))


def lose(db: Connection, envelope_id: str, kind: Kind, size_bytes: int, cause: Cause) -> Loss:
    """Take an envelope out, if it was in, and enter it as lost."""
    remove(db, envelope_id)
    enter(db, kind, cause, size_bytes)
    return Loss(envelope_id, kind, cause, size_bytes)


def remember(db: Connection, escalation_id: str, outcome: Outcome, now_s: float) -> None:
    """An escalation is settled."""
    db.execute("INSERT OR REPLACE INTO settled VALUES (?, ?, ?)", (escalation_id, outcome, now_s))


def was_settled(db: Connection, escalation_id: str) -> bool:
    """True while a settlement is remembered."""
    return bool(
        db.execute("SELECT count(*) FROM settled WHERE id = ?", (escalation_id,)).fetchone()[0]
    )


def agree(db: Connection, agreement: Iterable[tuple[str, Outcome]]) -> None:
    """Add what became of each claim and object; the rarest labels share one entry."""
    for label, outcome in agreement:
        (known,) = db.execute("SELECT count(*) FROM agreement WHERE label = ?", (label,)).fetchone()
        if not known:
            (labels,) = db.execute("SELECT count(DISTINCT label) FROM agreement").fetchone()
            label = label if labels < MOST_LABELS else OTHER
        db.execute(
            "INSERT INTO agreement VALUES (?, ?, 1) ON CONFLICT DO UPDATE "
            "SET objects = objects + 1",
            (label, outcome),
        )


def agreement(db: Connection) -> dict[str, dict[Outcome, int]]:
    """What became of all claims and objects, by label."""
    found: dict[str, dict[Outcome, int]] = {}
    for label, outcome, objects in db.execute("SELECT * FROM agreement ORDER BY label"):
        found.setdefault(label, {})[Outcome(outcome)] = objects
    return found


def forget_settled(db: Connection, oldest_s: float) -> None:
    """Forget settlements up to `oldest_s`."""
    db.execute("DELETE FROM settled WHERE at_s <= ?", (oldest_s,))


def enter(db: Connection, kind: Kind, entry: str, size_bytes: int) -> None:
    """Add one message to the ledger."""
    db.execute(
        "INSERT INTO ledger VALUES (?, ?, 1, ?) ON CONFLICT DO UPDATE "
        "SET messages = messages + 1, size_bytes = size_bytes + excluded.size_bytes",
        (kind, entry, size_bytes),
    )


def ledger(db: Connection) -> dict[tuple[Kind, str], Tally]:
    """The ledger."""
    rows = db.execute("SELECT kind, entry, messages, size_bytes FROM ledger")
    return {(Kind(kind), entry): Tally(m, size_bytes) for kind, entry, m, size_bytes in rows}


def backlog(db: Connection) -> dict[Kind, Backlog]:
    """What lies in the spool, of every kind."""
    lying = {
        (kind, state): Tally(messages, size_bytes)
        for kind, state, messages, size_bytes in db.execute("SELECT * FROM totals")
    }
    return {
        kind: Backlog(lying.get((kind, "ready"), Tally()), lying.get((kind, "sent"), Tally()))
        for kind in SHARES
    }


def unanswered(db: Connection) -> int:
    """Escalations that await their verdict."""
    return backlog(db)[Kind.ESCALATION].sent.messages

"""The loss ledger: of each outage, what was doubted, kept, lost and why, to the frame.

An outage begins when the link becomes worse and counts if it goes offline; it ends when the
link is online again, with nothing left behind. It lies in the spool's file, beside what it
counts, and one transaction reads both: so it adds up, also over restarts and power cuts.

    seen           = kept + each cause in `not_kept`
    before + kept  = waiting + settled + each cause in `lost`

What was not kept never reached the spool: over the budget, settled by a second look, refused
by the redaction and so on. Those counts come from the process and are written down every few
seconds, so a crash loses the last of them, and of `seen` with them.

What this does not promise: that a silence is an outage. Where nothing is asked, none is seen.
"""

import json
import sqlite3
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from visionedge.entities import Kind
from visionedge.runtime.clock import Clock
from visionedge.uplink import spool_sql as sql
from visionedge.uplink.spool_file import SpoolFile

_NO_LOSS: Final = frozenset({"put", "settled"})
_RATE_OVER_S: Final = 600.0
"""The drain's rate is that of the last ten minutes."""
_KEPT_OUTAGES: Final = 100


@dataclass(frozen=True, slots=True)
class Outage:
    """One outage, so far or as it was.

    Attributes:
        number: counts up, over restarts.
        began_at: UTC, as the wall clock was.
        ended_at: likewise; None while it lasts.
        lasted_s: in lived seconds, which no clock jump changes.
        offline: False while it may still be none.
        before: escalations that waited when it began.
        seen: questions that the module had.
        not_kept: of them by cause, those that never reached the spool.
        kept: those that did.
        settled: by a verdict.
        lost: by cause: evicted (bytes), expired (age), too_large, rejected.
        waiting: at its end, or now.
        drains_in_s: when nothing will wait any more at the present rate; None where the
            backlog does not shrink.
    """

    number: int
    began_at: datetime
    ended_at: datetime | None
    lasted_s: float
    offline: bool
    before: int
    seen: int
    not_kept: Mapping[str, int]
    kept: int
    settled: int
    lost: Mapping[str, int]
    waiting: int
    drains_in_s: float | None


class SpoolOutages:
    """Watches the link and keeps the ledger. Safe for all threads but the frame's.

    Args:
        file: the spool's.
        clock: stamps the beginning and the end.
    """

    def __init__(self, file: SpoolFile, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self._state = ""
        self._unkept: dict[str, int] = {}
        self._looked: tuple[Outage | None] | None = None
        self._waiting: deque[tuple[float, int]] = deque()

    def look(self, state: str, unkept: Mapping[str, int], *, heard: bool) -> None:
        """Follow the link; call it every few seconds.

        Args:
            state: online, degraded, offline or draining.
            unkept: questions that never reached the spool since this process began, by cause.
            heard: the cloud has said something to this process. A process that begins within
                an outage knows nothing yet, and does not end it.

        Raises:
            SpoolUnavailable: call it again later.
        """
        fresh = {c: n - self._unkept.get(c, 0) for c, n in unkept.items()}
        fresh = {cause: n for cause, n in fresh.items() if n > 0}
        if fresh or state != self._state:
            self._file.write(lambda db: self._follow(db, state, fresh, heard))
        self._unkept = dict(unkept)
        # Written again until it is known whether an outage of an earlier process is over.
        self._state = state if heard else ""
        if state in ("degraded", "offline"):
            # Nothing drains, and how fast it filled says nothing of how fast it will.
            self._waiting.clear()
        self._measure()

    def latest(self) -> Outage | None:
        """The outage that lasts, or the last one that was, as of the last look.

        Returns:
            None where there was none.

        Raises:
            SpoolUnavailable: nobody has looked yet, and the file cannot be read.
        """
        # Many ask, several times a second: they do not wait for the disk.
        looked = self._looked
        return self._file.read(self._latest) if looked is None else looked[0]

    def _follow(
        self, db: sqlite3.Connection, state: str, fresh: Mapping[str, int], heard: bool
    ) -> None:
        for cause, questions in fresh.items():
            db.execute(
                "INSERT INTO unkept VALUES (?, ?) ON CONFLICT DO UPDATE "
                "SET questions = questions + excluded.questions",
                (cause, questions),
            )
        counted, now_s = _count(db), self._file.time.now_s()
        open_ = db.execute("SELECT number, offline FROM outages WHERE ended_at IS NULL").fetchone()
        if state in ("degraded", "offline") and open_ is None:
            db.execute(
                "INSERT INTO outages (began_at, began_s, before, offline) VALUES (?, ?, ?, ?)",
                (self._clock.utc().isoformat(), now_s, json.dumps(counted), state == "offline"),
            )
            db.execute(
                "DELETE FROM outages WHERE number <= (SELECT max(number) FROM outages) - ?",
                (_KEPT_OUTAGES,),
            )
        elif state == "offline" and open_ is not None:
            db.execute("UPDATE outages SET offline = 1 WHERE number = ?", (open_[0],))
        elif state == "online" and open_ is not None and (heard or not counted["waiting"]):
            _end(db, open_, counted, now_s, self._clock.utc())

    def _measure(self) -> None:
        now_s = self._file.time.now_s()
        waiting = self._file.read(lambda db: sql.backlog(db)[Kind.ESCALATION].messages)
        self._waiting.append((now_s, waiting))
        while now_s - self._waiting[0][0] > _RATE_OVER_S:
            self._waiting.popleft()
        self._looked = (self._file.read(self._latest),)

    def _drains_in_s(self, waiting: int) -> float | None:
        if waiting == 0:
            return 0.0
        if len(self._waiting) < 2:
            return None
        (then_s, then), (now_s, now) = self._waiting[0], self._waiting[-1]
        return waiting * (now_s - then_s) / (then - now) if then > now else None

    def _latest(self, db: sqlite3.Connection) -> Outage | None:
        row = db.execute(
            "SELECT number, began_at, began_s, before, offline, ended_at, ended_s, after "
            "FROM outages ORDER BY number DESC LIMIT 1"
        ).fetchone()
        if row is None:
            return None
        number, began_at, began_s, before_text, offline, ended_at, ended_s, after_text = row
        before: dict[str, Any] = json.loads(before_text)
        after: dict[str, Any] = json.loads(after_text) if after_text else _count(db)
        spooled = _grown(before["spooled"], after["spooled"])
        not_kept = _grown(before["unkept"], after["unkept"])
        kept = spooled.get("put", 0)
        return Outage(
            number=number,
            began_at=datetime.fromisoformat(began_at),
            ended_at=datetime.fromisoformat(ended_at) if ended_at else None,
            lasted_s=(self._file.time.now_s() if ended_s is None else ended_s) - began_s,
            offline=bool(offline),
            before=before["waiting"],
            seen=kept + sum(not_kept.values()),
            not_kept=not_kept,
            kept=kept,
            settled=spooled.get("settled", 0),
            lost={cause: n for cause, n in spooled.items() if cause not in _NO_LOSS},
            waiting=after["waiting"],
            drains_in_s=0.0 if ended_at else self._drains_in_s(after["waiting"]),
        )


def _end(
    db: sqlite3.Connection,
    open_: tuple[int, int],
    counted: Mapping[str, Any],
    now_s: float,
    now: datetime,
) -> None:
    number, offline = open_
    if offline:
        db.execute(
            "UPDATE outages SET ended_at = ?, ended_s = ?, after = ? WHERE number = ?",
            (now.isoformat(), now_s, json.dumps(counted), number),
        )
    else:
        # A late answer, and no outage.
        db.execute("DELETE FROM outages WHERE number = ?", (number,))


def _count(db: sqlite3.Connection) -> dict[str, Any]:
    """Everything that was ever counted of escalations, as it stands."""
    ledger = sql.ledger(db).items()
    return {
        "waiting": sql.backlog(db)[Kind.ESCALATION].messages,
        "spooled": {entry: t.messages for (kind, entry), t in ledger if kind is Kind.ESCALATION},
        "unkept": dict(db.execute("SELECT cause, questions FROM unkept").fetchall()),
    }


def _grown(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    grown = {key: n - before.get(key, 0) for key, n in after.items()}
    return {key: n for key, n in grown.items() if n > 0}

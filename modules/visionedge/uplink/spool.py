"""The spool: what waits to be sent or answered, on disk, bounded, the most valuable kept.

Every escalation passes through here and stays until its verdict, the receipt, has come, or
until it expires. That is why a cloud that is away costs nothing: there is no other path for
it to switch to. Telemetry and health stay until the hub has acknowledged them.

What is promised: once `put` has returned, the message survives `kill -9` and a power cut
until it is delivered, settled, or counted as lost; a resolution is `FIRST` once, ever; the
ledger adds up: `put` = waiting + delivered + settled + every loss by its cause.

What is not: that a message is sent only once (the same id may be sent again, and consumers
remove duplicates), or that a failing disk keeps its word. Where the disk cannot be written,
every call raises `SpoolUnavailable` and nothing has changed; inference does not use it.

Only the snapshot, sender and control threads may call it: each call can wait for the disk.
"""

import contextlib
import itertools
import math
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from visionedge.entities import Envelope, Kind, Outcome, Resolution
from visionedge.errors import SpoolCorrupt, SpoolUnavailable
from visionedge.metrics import Metrics
from visionedge.runtime.clock import Clock, SystemClock
from visionedge.uplink import spool_sql as sql
from visionedge.uplink.spool_file import SpoolFile
from visionedge.uplink.spool_outages import SpoolOutages
from visionedge.uplink.spool_rows import (
    CONTROL,
    CONTROL_SHARE,
    PRIORITY,
    SHARES,
    Backlog,
    Cause,
    Loss,
    Made,
    Settled,
    Tally,
    Unsettled,
)
from visionedge.wire import MAX_MESSAGE_BYTES

T = TypeVar("T")
_PATIENCE_LIMIT: Final = 5
"""An unanswered escalation is sent again after 1, 2, 4 .. 2^5 answer timeouts, then always after
2^5. With the cloud silent for days, each resend would stay in edgeHub's own store; with the
default timeout this makes one an hour, so that edgeHub holds about one copy of each."""
_LATELY_S: Final = 86_400.0
"""The longest span of a budget."""
_AT_ONCE: Final = 256
"""Messages given up in one go: who puts another waits for no more, unless it needs the place."""


class Spool:
    """A durable, bounded store of envelopes. Safe for all threads but the frame's.

    Args:
        path: the file; made with its folder when first used, not here.
        max_bytes: of all messages; `SHARES` splits it.
        max_age_s: whatever a message's own time to live is, it lives no longer than this.
        metrics: gets the gauges, the losses, the resolutions and the age of verdicts.
        on_corrupt: told after a damaged file was set aside, to report it.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int,
        max_age_s: float,
        metrics: Metrics,
        clock: Clock | None = None,
        on_corrupt: Callable[[SpoolCorrupt], None] | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._file = SpoolFile(path, self._clock, self._count_corrupt)
        self._on_corrupt = on_corrupt
        self.outages: Final = SpoolOutages(self._file, self._clock)
        """What came and went while the cloud was away."""
        self._metrics = metrics
        self._max_age_s = max_age_s
        self._max_bytes = max_bytes
        self._backlog = {kind: Backlog() for kind in SHARES}
        self._changed: threading.Event | None = None
        self._labels: set[str] = set()
        self._listener: Callable[[Resolution], None] = lambda _: None

    def limit(self, *, max_bytes: int, max_age_s: float) -> None:
        """Change the bounds. What lies there keeps lower ones at once, higher ones count from now.

        What was sent and waits for its answer may be over `max_bytes`, and goes by its age only.
        """
        lowered = max_bytes < self._max_bytes or max_age_s < self._max_age_s
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        if lowered:
            # Where the disk refuses it, the sender's next look does it.
            with contextlib.suppress(SpoolUnavailable):
                self.expire()

    def wake_on_change(self, event: threading.Event) -> None:
        """Set `event` whenever there may be something new to send."""
        self._changed = event

    def tell_settled(self, listener: Callable[[Resolution], None]) -> None:
        """Call `listener` with each resolution that settles, once, after it is on the disk."""
        self._listener = listener

    def put(self, envelope: Envelope, note: Mapping[str, Any] | None = None) -> tuple[Loss, ...]:
        """Take `envelope`, giving up what is worth less if its share is full.

        Args:
            envelope: taken once; the same id again changes nothing.
            note: small JSON, given back by `find` when the verdict comes.

        Returns:
            What was given up for it, the envelope itself where it was worth least.

        Raises:
            SpoolUnavailable: it was not taken.
        """

        def work(db: sql.Connection) -> list[Loss]:
            if sql.kind_and_size(db, envelope.id):
                return []
            sql.enter(db, envelope.kind, "put", envelope.size_bytes)
            if envelope.kind is Kind.ESCALATION:
                sql.note_made(db, envelope, self._file.time.now_s())
            losses = self._make_room(db, envelope)
            if all(loss.id != envelope.id for loss in losses):
                sql.insert(db, envelope, note or {}, self._file.time.now_s(), self._max_age_s)
            return losses

        return self._losing(work)

    def next_to_send(self, window: int, skip: Collection[str] = ()) -> Envelope | None:
        """The message to send now: health, then escalations by value and age, then telemetry.

        Args:
            window: escalations are held back while this many are unanswered.
            skip: ids to pass over this time; a few dozen at most.

        Raises:
            SpoolUnavailable: ask again later.
        """

        def work(db: sql.Connection) -> Envelope | None:
            for kind in PRIORITY:
                if kind is Kind.ESCALATION and sql.unanswered(db) >= window:
                    continue
                if envelope := sql.best(db, kind, skip):
                    return envelope
            return None

        return self._file.read(work)

    def mark_sent(self, envelope_id: str) -> None:
        """The hub has it: an escalation now waits for its verdict, anything else is done.

        Raises:
            SpoolUnavailable: it counts as unsent and will be sent again.
        """

        def work(db: sql.Connection) -> None:
            kind, size_bytes = sql.kind_and_size(db, envelope_id) or (None, 0)
            if kind is Kind.ESCALATION:
                sql.mark_sent(db, envelope_id, self._file.time.now_s())
            elif kind is not None:
                sql.remove(db, envelope_id)
                sql.enter(db, kind, "delivered", size_bytes)

        self._write(work)

    def reject(self, envelope_id: str) -> tuple[Loss, ...]:
        """Give up a message that the hub will never take.

        Raises:
            SpoolUnavailable: it is still there.
        """

        def work(db: sql.Connection) -> list[Loss]:
            row = sql.kind_and_size(db, envelope_id)
            return [sql.lose(db, envelope_id, *row, Cause.REJECTED)] if row else []

        return self._losing(work)

    def unanswered(self) -> int:
        """Escalations that were sent and have no verdict.

        Raises:
            SpoolUnavailable: ask again later.
        """
        return self._file.read(sql.unanswered)

    def missing(self, after_s: float, most: int) -> list[str]:
        """Ids of escalations that have been out for longer than `after_s`, the oldest first.

        Raises:
            SpoolUnavailable: ask again later.
        """
        return self._file.read(lambda db: sql.missing(db, self._file.time.now_s() - after_s, most))

    def overdue(self, answer_timeout_s: float, *, patient: bool = True) -> int:
        """Make escalations ready again whose verdict is overdue, under their old ids.

        Args:
            answer_timeout_s: for the first answer; each further attempt is given twice as
                long, up to 32 times.
            patient: False gives every attempt the first one's time. For when answers come
                again after a silence: what was sent into it has probably perished.

        Returns:
            How many.

        Raises:
            SpoolUnavailable: try again later.
        """
        doublings = _PATIENCE_LIMIT if patient else 0
        return self._write(
            lambda db: sql.make_ready(db, self._file.time.now_s(), answer_timeout_s, doublings)
        )

    def find(self, escalation_id: str) -> Unsettled | None:
        """The escalation that a verdict speaks of, or None where it is settled or unknown.

        Raises:
            SpoolUnavailable: ask for the verdict again later.
        """
        return self._file.read(lambda db: sql.unsettled(db, escalation_id, self._file.time.now_s()))

    def body(self, escalation_id: str) -> bytes | None:
        """What was sent of an escalation that waits for its verdict, or None.

        Raises:
            SpoolUnavailable: ask again later.
        """
        return self._file.read(lambda db: sql.body(db, escalation_id))

    def was_settled(self, escalation_id: str) -> bool:
        """True where an escalation has ended and that is remembered: a verdict is a duplicate.

        Raises:
            SpoolUnavailable: ask for the verdict again later.
        """
        return self._file.read(lambda db: sql.was_settled(db, escalation_id))

    def settle(self, resolution: Resolution) -> Settled:
        """End an escalation by its resolution, atomically and once.

        Raises:
            SpoolUnavailable: it is not settled; ask for the verdict again later.
        """
        id_ = resolution.escalation_id

        def work(db: sql.Connection) -> tuple[Settled, float]:
            now_s = self._file.time.now_s()
            waiting = sql.unsettled(db, id_, now_s)
            if waiting is None:
                known = sql.was_settled(db, id_)
                return (Settled.DUPLICATE if known else Settled.UNKNOWN), 0.0
            sql.enter(db, Kind.ESCALATION, "settled", waiting.size_bytes)
            sql.remove(db, id_)
            sql.remember(db, id_, resolution.outcome, now_s)
            sql.agree(db, resolution.agreement)
            return Settled.FIRST, waiting.age_s

        settled, age_s = self._write(work)
        if settled is Settled.FIRST:
            self._metrics.resolutions.labels(resolution.outcome).inc()
            self._metrics.verdict_age.observe(age_s)
            for label, outcome in resolution.agreement:
                self._metrics.agreement.labels(self._known(label), outcome).inc()
            self._listener(resolution)
            self._wake()
        return settled

    def expire(self) -> tuple[Loss, ...]:
        """Give up what has outlived its time or is over the bounds; call it regularly.

        An expired escalation is settled as `Outcome.EXPIRED`, so a verdict that comes later
        still is a duplicate.

        Raises:
            SpoolUnavailable: try again later.
        """

        def work(db: sql.Connection) -> list[Loss]:
            now_s = self._file.time.now_s()
            outlived = sql.outlived(db, now_s, now_s - self._max_age_s, _AT_ONCE)
            losses = [sql.lose(db, *row, Cause.EXPIRED) for row in outlived]
            for loss in losses:
                if loss.kind is Kind.ESCALATION:
                    sql.remember(db, loss.id, Outcome.EXPIRED, now_s)
            sql.forget_settled(db, now_s - self._max_age_s)
            sql.forget_made(db, now_s - _LATELY_S)
            over = itertools.islice(self._over(db), _AT_ONCE - len(losses))
            return losses + [sql.lose(db, *row, Cause.EVICTED) for row in list(over)]

        given_up: list[Loss] = []
        while True:
            losses = self._losing(work)
            for loss in losses:
                if loss.kind is Kind.ESCALATION and loss.cause is Cause.EXPIRED:
                    self._metrics.resolutions.labels(Outcome.EXPIRED).inc()
                    now = self._clock.utc()
                    self._listener(Resolution(loss.id, Outcome.EXPIRED, resolved_at=now))
            given_up += losses
            if len(losses) < _AT_ONCE:
                return tuple(given_up)

    def backlog(self) -> dict[Kind, Backlog]:
        """What lies in the spool, by kind.

        Raises:
            SpoolUnavailable: ask again later.
        """
        return self._file.read(sql.backlog)

    def ledger(self) -> dict[tuple[Kind, str], Tally]:
        """Every message that ever came and went, by kind and what became of it.

        The entries are `put`, `delivered`, `settled` and each `Cause`.

        Raises:
            SpoolUnavailable: ask again later.
        """
        return self._file.read(sql.ledger)

    def made_lately(self) -> list[Made]:
        """Escalations of the last day, the oldest first: what budgets were spent on.

        Raises:
            SpoolUnavailable: ask again later.
        """
        now_s = self._file.time.now_s
        return self._file.read(lambda db: sql.made_since(db, now_s() - _LATELY_S, now_s()))

    def agreement(self) -> dict[str, dict[Outcome, int]]:
        """How often verdicts bore out each class, ever since the file was begun.

        Raises:
            SpoolUnavailable: ask again later.
        """
        return self._file.read(sql.agreement)

    @property
    def fault(self) -> str:
        """Why the last message was not taken, or not noted; empty where the disk does its work."""
        return self._file.fault

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def _make_room(self, db: sql.Connection, envelope: Envelope) -> list[Loss]:
        """Evict until `envelope` fits; or give it up, and nothing else, where it is worth least.

        Where what was sent, or is worth more, is over the share by itself, it fits in the place of
        what is worth less.
        """
        size_bytes, kind = envelope.size_bytes, envelope.kind
        if size_bytes > MAX_MESSAGE_BYTES:
            return [sql.lose(db, envelope.id, kind, size_bytes, Cause.TOO_LARGE)]
        share_bytes = int(self._max_bytes * SHARES[kind])
        excess_bytes = sql.backlog(db)[kind].size_bytes + size_bytes - share_bytes
        victims: list[sql.Row] = []
        freed_bytes = 0
        candidates = _candidates(db, envelope, int(share_bytes * CONTROL_SHARE))
        for victim in candidates if excess_bytes > 0 else ():
            enough = freed_bytes >= size_bytes and len(victims) >= _AT_ONCE
            if enough or freed_bytes >= excess_bytes:
                break
            victims.append(victim)
            freed_bytes += victim[2]
        if freed_bytes < min(size_bytes, excess_bytes):
            return [sql.lose(db, envelope.id, kind, size_bytes, Cause.EVICTED)]
        return [sql.lose(db, *victim, Cause.EVICTED) for victim in victims]

    def _over(self, db: sql.Connection) -> Iterator[sql.Row]:
        """What may go of each kind that is over its share, the least valuable first."""
        for kind, lying in sql.backlog(db).items():
            share_bytes = int(self._max_bytes * SHARES[kind])
            excess_bytes = lying.size_bytes - share_bytes
            candidates = _least(db, kind, math.inf, int(share_bytes * CONTROL_SHARE))
            while excess_bytes > 0 and (victim := next(candidates, None)):
                excess_bytes -= victim[2]
                yield victim

    def _losing(self, work: Callable[[sql.Connection], list[Loss]]) -> tuple[Loss, ...]:
        losses = self._write(work)
        for loss in losses:
            self._metrics.spool_lost.labels(loss.kind, loss.cause).inc()
        self._wake()
        return tuple(losses)

    def _write(self, work: Callable[[sql.Connection], T]) -> T:
        result, backlog = self._file.write(lambda db: (work(db), sql.backlog(db)))
        self._backlog = backlog
        for kind, lying in backlog.items():
            self._metrics.spool_messages.labels(kind).set(lying.messages)
            self._metrics.spool_bytes.labels(kind).set(lying.size_bytes)
        self._metrics.unanswered.set(backlog[Kind.ESCALATION].sent.messages)
        return result

    def _known(self, label: str) -> str:
        if label not in self._labels and len(self._labels) >= sql.MOST_LABELS:
            return sql.OTHER
        self._labels.add(label)
        return label

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()

    def _count_corrupt(self, error: SpoolCorrupt) -> None:
        """Count what was known to be in the damaged file: of an unread one, nothing is."""
        for kind, lying in self._backlog.items():
            self._metrics.spool_lost.labels(kind, Cause.CORRUPT).inc(lying.messages)
        if self._on_corrupt is not None:
            self._on_corrupt(error)


def _candidates(db: sql.Connection, envelope: Envelope, reserved_bytes: int) -> Iterator[sql.Row]:
    """What may go for `envelope`, in the order in which it goes."""
    kind = envelope.kind
    if kind is not Kind.ESCALATION or envelope.properties.get("reason") != CONTROL:
        yield from _least(db, kind, envelope.value, reserved_bytes)
    elif sql.control_bytes(db) - reserved_bytes + envelope.size_bytes <= 0:
        yield from sql.least_valuable(db, kind, math.inf)
    else:
        yield from sql.least_valuable(db, kind, envelope.value, control=True)


def _least(
    db: sql.Connection, kind: Kind, most_value: float, reserved_bytes: int
) -> Iterator[sql.Row]:
    """What is worth at most that, but for the part that the control sample has to itself."""
    over_bytes = sql.control_bytes(db) - reserved_bytes if kind is Kind.ESCALATION else 0
    for victim in sql.least_valuable(db, kind, math.inf, control=True) if over_bytes > 0 else ():
        # The control sample may use what nobody else does; it gives that back first.
        over_bytes -= victim[2]
        yield victim
        if over_bytes <= 0:
            break
    yield from sql.least_valuable(db, kind, most_value)

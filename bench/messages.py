"""How fast escalations get into the spool, and through the device SDK to a hub, 100 kB each.

    file and sync    one file each, written and synced: what a disk gives at best
    spool.put        durable, ordered by value, bounded; what the snapshot worker waits for
    SDK over TLS     `HubClient.send` to devhub on loopback, each acknowledged before the next

A line asks a few questions a minute; what counts is how long a backlog takes to drain after
an outage, and that a put is never what frames wait for.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Final

from bench.context import Context
from bench.harness import Turn, compare, in_rounds, repeated
from bench.report import Column, Report, Table
from devhub import DevHub
from visionedge.entities import Envelope, Kind, new_id
from visionedge.metrics import Metrics
from visionedge.settings import UplinkSettings
from visionedge.uplink.registry import choose
from visionedge.uplink.spool import Spool

_BODY_BYTES: Final = 100_000
_TURN_S: Final = 0.5
_SPOOL_BYTES: Final = 64 * 1024**2
_CONNECT_S: Final = 30.0
_BASE: Final = "file and sync"


@dataclass(frozen=True, slots=True)
class Row:
    """One way to keep or send a message.

    Attributes:
        contender: which.
        per_s: messages.
        mb_per_s: of bodies.
        ms: median of one.
        cpu_ms: of this process.
        ratio: messages a second over those of the base.
    """

    contender: str
    per_s: float
    mb_per_s: float
    ms: float
    cpu_ms: float
    ratio: float


def run(context: Context) -> Report:
    """Measure here; no model is in it."""
    with _hub() as send, _spool(context.folder) as put:
        turns: dict[str, Turn] = {
            _BASE: repeated(_writer(context.folder / "files"), _TURN_S),
            "spool.put": repeated(put, _TURN_S),
            "SDK over TLS": repeated(send, _TURN_S),
        }
        with context.progress("messages", context.blocks) as tick:
            rounds = in_rounds(
                turns, context.blocks, warm_up=1, patience_s=context.patience_s, tick=tick
            )
    rows = [
        Row(
            row.contender,
            row.frames_per_s,
            row.frames_per_s * _BODY_BYTES / 1e6,
            row.wall_ms,
            row.cpu_ms,
            row.ratio,
        )
        for row in compare(rounds, _BASE)
    ]
    table = Table(
        title=f"messages of {_BODY_BYTES // 1000} kB; {context.blocks} rounds of {_TURN_S} s",
        rows=rows,
        columns=(
            Column("", lambda row: row.contender),
            Column("messages/s", lambda row: f"{row.per_s:.1f}"),
            Column("MB/s", lambda row: f"{row.mb_per_s:.1f}"),
            Column("ms", lambda row: f"{row.ms:.2f}"),
            Column("CPU ms", lambda row: f"{row.cpu_ms:.2f}"),
            Column("of file", lambda row: f"{row.ratio:.2f}"),
        ),
        notes=("the hub runs in the same process: its CPU is in the last line", rounds.disturbance),
        bar=lambda row: float(row.ratio),
    )
    return Report("messages", [table])


def _envelope() -> Envelope:
    now = datetime.now(UTC)
    return Envelope(
        id=new_id(),
        kind=Kind.ESCALATION,
        value=0.5,
        created_at=now,
        expires_at=now + timedelta(days=1),
        # What does not compress, as a JPEG in base64 hardly does.
        body=os.urandom(_BODY_BYTES // 2).hex().encode(),
        properties={"schema": "escalation/1"},
    )


def _writer(folder: Path) -> Callable[[], object]:
    folder.mkdir()
    numbers = count()

    def write() -> None:
        envelope = _envelope()
        with (folder / f"{next(numbers)}").open("wb") as file:
            file.write(envelope.body)
            file.flush()
            os.fsync(file.fileno())

    return write


@contextmanager
def _spool(folder: Path) -> Iterator[Callable[[], object]]:
    spool = Spool(
        folder / "spool.db", max_bytes=_SPOOL_BYTES, max_age_s=86_400.0, metrics=Metrics()
    )
    yield lambda: spool.put(_envelope())
    spool.close()


@contextmanager
def _hub() -> Iterator[Callable[[], object]]:
    """Sends through the unpatched SDK to a hub on loopback."""
    with DevHub() as hub:
        before = dict(os.environ)
        os.environ.update(hub.environment())
        client = choose(UplinkSettings(kind="azure"), os.environ, Metrics(), lambda _: None)
        try:
            client.start(lambda _: None)
            hub.wait(lambda: bool(hub.connections), _CONNECT_S, "a connection of the SDK")
            yield lambda: client.send(_envelope())
        finally:
            client.close(5.0)
            os.environ.clear()
            os.environ.update(before)

"""A process that works a spool as fast as it can and says what it was told, to be killed.

    python -m tests.support.spool_crasher FOLDER FIRST_NUMBER

Each line is written after the call has returned: `put ID`, `lost ID`, `first ID`.
"""

import os
import random
import sys
from pathlib import Path

from tests.support.envelopes import envelope, resolution

from visionedge.metrics import Metrics
from visionedge.uplink.spool import Spool
from visionedge.uplink.spool_rows import Settled


def say(*words: str) -> None:
    """One write call, so that a kill cannot cut a line."""
    os.write(1, (" ".join(words) + "\n").encode())


def work(folder: Path, number: int) -> None:
    """Put, send, settle and evict, until killed."""
    chance = random.Random(number)
    spool = Spool(folder / "spool.db", max_bytes=1_500_000, max_age_s=3600, metrics=Metrics())
    settled: list[str] = []
    say("opened")
    while True:
        number += 1
        id_ = f"e{number}"
        losses = spool.put(envelope(id=id_, value=chance.random(), body=b"x" * 60_000))
        if all(loss.id != id_ for loss in losses):
            say("put", id_)
        for loss in losses:
            say("lost", loss.id)
        if chance.random() < 0.2:
            spool.overdue(0, patient=False)
        message = spool.next_to_send(8)
        if message is None or chance.random() < 0.2:
            continue
        spool.mark_sent(message.id)
        if chance.random() < 0.8:
            settled.append(message.id)
        for settle_id in settled[-2:]:
            if spool.settle(resolution(settle_id)) is Settled.FIRST:
                say("first", settle_id)


if __name__ == "__main__":
    work(Path(sys.argv[1]), int(sys.argv[2]))

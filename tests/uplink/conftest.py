"""A spool in a temporary folder, on a clock that stands still."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.envelopes import OpenSpool

from visionedge.metrics import Metrics
from visionedge.runtime.clock import FakeClock
from visionedge.uplink.spool import Spool


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def open_spool(tmp_path: Path, clock: FakeClock, metrics: Metrics) -> Iterator[OpenSpool]:
    """Opens the same file each time, as a restart does; closes whatever was opened."""
    opened: list[Spool] = []

    def open_(
        *, max_bytes: int = 10_000_000, max_age_s: float = 14 * 86_400, at: FakeClock | None = None
    ) -> Spool:
        for spool in opened:
            spool.close()
        spool = Spool(
            tmp_path / "spool" / "spool.db",
            max_bytes=max_bytes,
            max_age_s=max_age_s,
            metrics=metrics,
            clock=at or clock,
        )
        opened.append(spool)
        return spool

    yield open_
    for spool in opened:
        spool.close()


@pytest.fixture
def spool(open_spool: OpenSpool) -> Spool:
    return open_spool()

"""Each row of the behaviour table, by the real SDK: what was put arrives, and patches as well.

Stated recovery: from the end of a fault until everything that was put, a new message and a new
patch are through. Here it is `RECOVERY_S`, with the short deadlines and pauses of
`tests.support.linked_spool`. In the field it is what `Deadlines` and `Patience` say: at most the
deadline of the call that hangs, and one pause (`docs/explanation/reliability.md`).
"""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from tests.support.hub_sides import WAIT_S
from tests.support.linked_spool import LinkedSpool, arrives

from devhub import ROWS, DevHub
from visionedge.entities import Kind

RECOVERY_S: Final = 10.0
HOLD_S: Final = 0.7
"""Longer than the deadlines of sending and reading, so that such calls are caught by them."""


@pytest.fixture
def module(devhub: DevHub, tmp_path: Path) -> Iterator[LinkedSpool]:
    module = LinkedSpool(tmp_path)
    yield module
    module.close()


# A client that is shut down in the midst of reconnecting: a thread of paho trips over it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("name", ROWS)
def test_after_each_row_all_arrives_and_patches_come_within_the_stated_time(
    devhub: DevHub, module: LinkedSpool, name: str
) -> None:
    module.connect()
    ids = module.put(2)
    arrives(devhub, ids)
    ROWS[name].begin(devhub)
    ids |= module.put(2)
    module.put(1, Kind.TELEMETRY)
    threading.Event().wait(HOLD_S)
    ROWS[name].end(devhub)
    ended = time.monotonic()
    arrives(devhub, ids | module.put(2))
    devhub.wait(lambda: devhub.ids("telemetry"), WAIT_S)
    devhub.patch_desired({"after": True})
    module.events.wait(lambda event: "after" in getattr(event, "properties", {}))
    assert time.monotonic() - ended < RECOVERY_S
    assert module.metrics.counts("visionedge_spool_lost_total", "cause") == {}

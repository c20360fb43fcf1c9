"""What the log says of an outage: once when the hub is lost, once when it is back."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.hub_sides import WAIT_S
from tests.support.linked_spool import LinkedSpool, arrives

from devhub import ROWS, DevHub

LOST = "the hub is lost"
BACK = "connected to the hub again"
REFUSED = "the hub refuses this module"
FAILED_SESSIONS = 4

# A client that is shut down in the midst of reconnecting: a thread of paho trips over it.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


@pytest.fixture
def module(devhub: DevHub, tmp_path: Path) -> Iterator[LinkedSpool]:
    module = LinkedSpool(tmp_path)
    yield module
    module.close()


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """All that an operator reads of the uplink, before any limit on repeats.

    But for the question for verdicts, which comes behind an outage of ten seconds or more.
    """
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("visionedge.uplink")
        and record.levelno > logging.DEBUG
        and not record.getMessage().startswith("asked for the verdicts of")
    ]


def failed_sessions(module: LinkedSpool) -> int:
    return sum(module.metrics.counts("visionedge_link_rebuilt_total", "cause").values())


def live_through(row: str, devhub: DevHub, module: LinkedSpool) -> None:
    """An outage in which session after session fails, while there is something to send."""
    module.connect()
    arrives(devhub, module.put(2))
    ROWS[row].begin(devhub)
    ids = module.put(3)
    devhub.drop_links()
    devhub.wait(lambda: failed_sessions(module) >= FAILED_SESSIONS, 4 * WAIT_S, "failed sessions")
    ROWS[row].end(devhub)
    arrives(devhub, ids | module.put(1))


@pytest.mark.parametrize(
    "row",
    [
        "refuse-tcp",
        pytest.param("pulled-cable", marks=pytest.mark.slow),
        pytest.param("no-tls", marks=pytest.mark.slow),
        pytest.param("mute-connack", marks=pytest.mark.slow),
    ],
)
def test_an_outage_is_told_once_when_it_begins_and_once_when_it_ends(
    row: str, devhub: DevHub, module: LinkedSpool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    live_through(row, devhub, module)
    first, *rest = said(caplog)
    assert first == "connected to the hub"
    # On a busy machine patience this short may run out once more: that is told in the same way.
    assert len(rest) >= 2
    assert [line for n, line in enumerate(rest) if not line.startswith((LOST, BACK)[n % 2])] == []


def test_a_refusal_is_told_once_besides_because_it_does_not_mend_itself(
    devhub: DevHub, module: LinkedSpool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    live_through("connack-5", devhub, module)
    told = " | ".join(said(caplog))
    assert (told.count(LOST), told.count(BACK)) == (1, 1)
    assert told.count(REFUSED) + told.count("lost, by auth") == 1


def test_a_hub_that_is_not_there_at_the_start_is_told_once_too(
    devhub: DevHub, module: LinkedSpool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ROWS["refuse-tcp"].begin(devhub)
    ids = module.put(2)
    module.start()
    devhub.wait(lambda: failed_sessions(module) >= FAILED_SESSIONS, 4 * WAIT_S, "failed sessions")
    ROWS["refuse-tcp"].end(devhub)
    arrives(devhub, ids)
    missing, found = said(caplog)
    assert missing.startswith("the hub is not there, by connect")
    assert found.startswith(BACK)


def test_a_module_without_the_socket_of_iot_edge_is_told_where_it_comes_from(
    devhub: DevHub, module: LinkedSpool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    devhub.set_faults(workload_gone=True)
    module.start()
    devhub.wait(lambda: failed_sessions(module) >= 1, 4 * WAIT_S, "a failed session")
    (missing,) = said(caplog)
    assert "let edgeAgent start the module" in missing


def test_an_end_is_no_outage(
    devhub: DevHub, module: LinkedSpool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    module.connect()
    module.close()
    assert said(caplog) == ["connected to the hub"]

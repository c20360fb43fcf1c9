"""Log lines that edgeAgent can parse, one an event whatever the event holds."""

import io
import logging
import re
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionedge.runtime.log import EdgeFormatter, configure

# edgeAgent's LogMessageParser.cs, with its groups.
AGENT = re.compile(
    r"^(<(?P<level>\d)>)?\s*"
    r"((?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) [+-]\d\d:\d\d\s+)?(?P<text>.*)$"
)


@pytest.fixture
def written() -> io.StringIO:
    """What the whole process logs while the test runs."""
    stream = io.StringIO()
    configure("DEBUG", stream)
    return stream


def record(level: int, text: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord("visionedge.cameras.feed", level, "feed.py", 1, text, args, None)


@pytest.mark.parametrize(
    ("level", "digit", "code"),
    [
        (logging.CRITICAL, "2", "CRI"),
        (logging.ERROR, "3", "ERR"),
        (logging.WARNING, "4", "WRN"),
        (logging.INFO, "6", "INF"),
        (logging.DEBUG, "7", "DBG"),
    ],
)
def test_the_agent_finds_level_time_and_text(level: int, digit: str, code: str) -> None:
    found = AGENT.match(EdgeFormatter().format(record(level, "lost %s", "line-1")))
    assert found is not None
    assert found["level"] == digit
    assert found["time"] is not None
    assert found["text"] == f"[{code}] [cameras.feed] - lost line-1"


def test_a_level_of_somebody_else_is_information() -> None:
    assert EdgeFormatter().format(record(25, "noticed")).startswith("<6> ")


@given(st.text())
def test_an_event_is_one_line_whatever_it_says(text: str) -> None:
    line = EdgeFormatter().format(record(logging.INFO, "%s", text))
    assert len(line.splitlines()) == 1
    assert AGENT.match(line)


def test_a_traceback_stays_on_its_line(written: io.StringIO) -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        logging.getLogger("visionedge.app").exception("it broke")
    lines = written.getvalue().splitlines()
    assert len(lines) == 1
    assert "it broke\\nTraceback" in lines[0]
    assert "first\\nsecond" in lines[0]


@pytest.mark.parametrize("error", [ConnectionResetError("gone"), SystemExit()], ids=repr)
def test_the_end_of_a_thread_by_an_error_is_a_line(
    monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail() -> None:
        raise error

    stream = io.StringIO()
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    configure("DEBUG", stream)
    thread = threading.Thread(target=fail, name="paho")
    thread.start()
    thread.join()
    told = "<4> .*thread paho was ended by ConnectionResetError.*Traceback.*in fail.*\\n"
    expected = told if isinstance(error, ConnectionResetError) else ""
    assert re.fullmatch(expected, stream.getvalue())


def test_an_address_from_outside_cannot_move_the_cursor(written: io.StringIO) -> None:
    logging.getLogger("visionedge.cameras").warning("lost %s", "\x1b[2Jcam\x07")
    assert written.getvalue().endswith("lost \\x1b[2Jcam\\x07\n")


def test_vendors_write_what_nobody_else_tells_only(written: io.StringIO) -> None:
    for name in ("azure.iot.device", "paho.mqtt.client", "urllib3.connectionpool"):
        logging.getLogger(name).info("the whole twin with its secrets")
        logging.getLogger(name).error("worth knowing")
    assert len(written.getvalue().splitlines()) == 3
    for name in ("azure.iot.device", "paho.mqtt.client"):
        logging.getLogger(name).warning("the link is lost, which the supervisor tells once")
    assert len(written.getvalue().splitlines()) == 3
    assert "secrets" not in written.getvalue()


def test_levels_below_the_one_asked_for_are_not_written() -> None:
    stream = io.StringIO()
    configure("warning", stream)
    logging.getLogger("visionedge.app").info("too little")
    assert stream.getvalue() == ""

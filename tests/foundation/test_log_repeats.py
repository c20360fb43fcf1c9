"""Of lines that repeat the first is written, then one a minute, and no count is lost."""

import io
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionedge.runtime.clock import FakeClock
from visionedge.runtime.log import EdgeHandler, configure
from visionedge.runtime.log_repeats import RepeatLimit


class Log:
    """A logger, its clock, and what was written."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.stream = io.StringIO()
        configure("DEBUG", self.stream, self.clock)
        self.log = logging.getLogger("visionedge.test")

    def lines(self) -> list[str]:
        """The texts since the last call."""
        texts = [line.partition(" - ")[2] for line in self.stream.getvalue().splitlines()]
        self.stream.seek(0)
        self.stream.truncate()
        return texts


@pytest.fixture
def out() -> Log:
    return Log()


def test_the_first_is_written_at_once_and_then_one_a_minute_with_their_number(out: Log) -> None:
    for second in range(180):
        out.log.warning("line-1, frame %d: no", second)
        out.clock.advance(1)
    assert out.lines() == [
        "line-1, frame 0: no",
        "line-1, frame 60: no (repeated 60 times)",
        "line-1, frame 120: no (repeated 60 times)",
    ]


def test_what_was_left_out_last_is_told_with_the_next_line_of_anybody(out: Log) -> None:
    for _ in range(5):
        out.log.error("the disk is full")
    assert out.lines() == ["the disk is full"]
    out.clock.advance(60)
    out.log.info("connected")
    assert out.lines() == ["the disk is full (repeated 4 times)", "connected"]
    out.clock.advance(60)
    out.log.info("other")
    assert out.lines() == ["other"]


def test_each_thing_that_is_named_first_is_news(out: Log) -> None:
    for camera in ("line-1", "line-2", "line-1", "line-2"):
        out.log.warning("camera %s lost: %s", camera, "no answer")
    assert out.lines() == ["camera line-1 lost: no answer", "camera line-2 lost: no answer"]


def test_a_file_is_a_thing_as_well(out: Log) -> None:
    for name in ("one.onnx", "other.onnx", "one.onnx"):
        out.log.info("%s is ready", Path(name))
    assert out.lines() == ["one.onnx is ready", "other.onnx is ready"]


def test_what_another_error_says_is_news_but_for_its_numbers(out: Log) -> None:
    for number in range(3):
        out.log.error("%s", OSError(f"spool.db was taken away {number} times"))
        out.log.error("%s", OSError("spool.db is damaged"))
        out.log.error("%s: %s", "line-1", OSError(f"frame {number} is cut"))
        out.log.error("%s: %s", "line-1", OSError("no such device"))
    assert out.lines() == [
        "spool.db was taken away 0 times",
        "spool.db is damaged",
        "line-1: frame 0 is cut",
        "line-1: no such device",
    ]


def test_what_was_left_out_is_told_when_the_process_ends(out: Log) -> None:
    for _ in range(3):
        out.log.error("the disk is full")
    out.lines()
    (handler,) = (each for each in logging.getLogger().handlers if isinstance(each, EdgeHandler))
    handler.close()
    handler.close()
    assert out.lines() == ["the disk is full (repeated 2 times)"]


def test_a_process_that_ends_beside_its_threads_tells_it_too() -> None:
    program = """
import logging, threading
from visionedge import __main__ as ended
from visionedge.runtime.log import configure

def main():
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    configure("INFO")
    for _ in range(3):
        logging.error("the disk is full")
    return 0

ended.main = main
ended.console()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert "the disk is full (repeated 2 times)" in done.stderr


def test_no_template_writes_more_than_a_few_lines_a_minute_whatever_it_names(out: Log) -> None:
    for number in range(500):
        out.log.warning("%s cannot be written", f"file-{number}")
    assert len(out.lines()) == 17
    out.clock.advance(60)
    out.log.info("and then")
    told = out.lines()
    assert told == ["file-499 cannot be written (repeated 483 times)", "and then"]


def test_the_same_words_of_another_logger_are_another_line(out: Log) -> None:
    out.log.info("ready")
    logging.getLogger("visionedge.other").info("ready")
    assert out.lines() == ["ready", "ready"]


def test_debug_lines_are_never_left_out(out: Log) -> None:
    for _ in range(3):
        out.log.debug("still lost")
    assert out.lines() == ["still lost"] * 3


def test_a_change_of_the_settings_forgets_no_repeats(out: Log) -> None:
    out.log.info("again")
    configure("INFO", out.stream)
    out.log.info("again")
    assert out.lines() == ["again"]


def test_others_who_listen_get_every_record_as_it_was(
    out: Log, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger().addHandler(caplog.handler)
    for _ in range(3):
        out.log.warning("%s says no", "hub")
    out.clock.advance(60)
    out.log.warning("%s says no", "hub")
    assert caplog.messages == ["hub says no"] * 4


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y", None]), st.integers(0, 50)),
        max_size=80,
    )
)
def test_every_record_is_written_or_counted_once(
    steps: list[tuple[str, str | None, int]],
) -> None:
    clock = FakeClock()
    limit = RepeatLimit(clock)
    written: list[str] = []

    def take(template: str, thing: str | None) -> None:
        args = (thing,) if thing else ()
        text = f"{template} %s" if thing else template
        record = logging.LogRecord("log", logging.INFO, "", 1, text, args, None)
        written.extend(each.getMessage() for each in limit.take(record))

    for template, thing, pause_s in steps:
        take(template, thing)
        clock.advance(pause_s)
    clock.advance(60)
    take("end", None)
    told = sum(
        int(line.split("(repeated ")[1].split()[0]) if "(" in line else 1 for line in written
    )
    assert told == len(steps) + 1


def test_a_line_of_a_library_whose_arguments_do_not_fit_fails_nobody() -> None:
    clock = FakeClock()
    limit = RepeatLimit(clock)
    line = logging.LogRecord("azure", logging.WARNING, "a.py", 1, "%s of %s", ("one",), None)
    assert limit.take(line) == [line]
    assert limit.take(line) == []
    clock.advance(60)
    assert [each.getMessage() for each in limit.take(line)] == ["%s of %s (repeated 2 times)"]


class Speechless(Exception):
    """Fails when it is asked what it says."""

    def __str__(self) -> str:
        raise RuntimeError("no words")

    def __repr__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize("template", ["%s", "worker failed: %r"])
def test_an_error_that_cannot_be_written_fails_nobody(
    out: Log, template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    for _ in range(3):
        out.log.error(template, Speechless())
        out.log.error(Speechless())
    out.clock.advance(60)
    out.log.info("connected")
    assert out.lines() == [
        f"{template} (repeated 2 times)",
        "Speechless (repeated 2 times)",
        "connected",
    ]

"""Log lines in the form that the IoT Edge agent parses.

`<6> 2026-11-21 01:45:17.123 +00:00 [INF] [cameras.feed] - text`, one event a line, so that
`iotedge logs`, UploadModuleLogs and its level filter work. The offset needs its colon, and
control characters within a message or traceback are escaped: edgeAgent reads lines, and a
label or an address from outside must not be able to write one of its own. Lines that repeat
are left out for a minute at a time (`log_repeats`). What ends a thread of a library, as it does
paho's where a peer hangs up at a bad moment, is a line as well.
Source: edgeAgent's LogMessageParser.cs.
"""

import logging
import sys
import threading
from datetime import UTC, datetime
from typing import Final, TextIO

from visionedge.runtime.clock import Clock
from visionedge.runtime.log_repeats import RepeatLimit

log: Final = logging.getLogger(__name__)
_SEVERITY: Final = {
    logging.CRITICAL: (2, "CRI"),
    logging.ERROR: (3, "ERR"),
    logging.WARNING: (4, "WRN"),
    logging.INFO: (6, "INF"),
    logging.DEBUG: (7, "DBG"),
}
_ESCAPES: Final = {
    **{code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code != ord("\t")},
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}
_QUIET: Final = {"azure": logging.ERROR, "paho": logging.ERROR, "urllib3": logging.WARNING}
"""Levels of loggers that at debug write topics and whole twins, and at warning each lost link."""


class EdgeFormatter(logging.Formatter):
    """One line an event, with the severity prefix of the journal."""

    def format(self, record: logging.LogRecord) -> str:
        """The line for `record`."""
        priority, code = _SEVERITY.get(record.levelno, (6, "INF"))
        at = datetime.fromtimestamp(record.created, UTC)
        stamp = f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d} +00:00"
        name = record.name.removeprefix("visionedge.")
        text = record.getMessage()
        if record.exc_info:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        return f"<{priority}> {stamp} [{code}] [{name}] - {text.translate(_ESCAPES)}"


class EdgeHandler(logging.StreamHandler[TextIO]):
    """Writes records in the edge format, and repeats of them now and then.

    Args:
        stream: where to.
        limit: of the repeats.
    """

    def __init__(self, stream: TextIO, limit: RepeatLimit) -> None:
        super().__init__(stream)
        self.limit: Final = limit
        self.setFormatter(EdgeFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Write `record`, if its turn has come, and what was left out before."""
        for each in self.limit.take(record):
            super().emit(each)

    def close(self) -> None:
        """Write what was left out and would else never be told."""
        if not self.stream.closed:
            for each in self.limit.rest():
                super().emit(each)
        super().close()


def configure(level: str, stream: TextIO | None = None, clock: Clock | None = None) -> None:
    """Send all log records of the process to `stream` (stderr) in the edge format.

    What repeats is remembered from one call to the next, because each change of the settings
    is one.
    """
    root = logging.getLogger()
    before = next((each for each in root.handlers if isinstance(each, EdgeHandler)), None)
    limit = before.limit if before and clock is None else RepeatLimit(clock)
    root.handlers[:] = [EdgeHandler(stream or sys.stderr, limit)]
    root.setLevel(level.upper())
    for name, quiet in _QUIET.items():
        logging.getLogger(name).setLevel(quiet)
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _tell_end


def _tell_end(args: threading.ExceptHookArgs) -> None:
    """In place of a trace of many lines without a time."""
    error, thread = args.exc_value, args.thread
    if error is not None and not isinstance(error, SystemExit):
        name = thread.name if thread else "unknown"
        log.warning("thread %s was ended by %r", name, error, exc_info=error)

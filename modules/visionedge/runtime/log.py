"""Log lines in the form that the IoT Edge agent parses.

`<6> 2026-11-21 01:45:17.123 +00:00 [INF] [cameras.feed] - text`, one event a line, so that
`iotedge logs`, UploadModuleLogs and its level filter work. The offset needs its colon, and
line ends within a message or traceback are escaped, because edgeAgent reads lines.
Source: edgeAgent's LogMessageParser.cs.
"""

import logging
import sys
from datetime import UTC, datetime
from typing import Final, TextIO

_SEVERITY: Final = {
    logging.CRITICAL: (2, "CRI"),
    logging.ERROR: (3, "ERR"),
    logging.WARNING: (4, "WRN"),
    logging.INFO: (6, "INF"),
    logging.DEBUG: (7, "DBG"),
}
_NOISY: Final = ("azure", "paho", "urllib3")
"""Loggers kept at warning: at debug they write topics and whole twins."""


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
        text = text.replace("\r", "\\r").replace("\n", "\\n")
        return f"<{priority}> {stamp} [{code}] [{name}] - {text}"


def configure(level: str, stream: TextIO | None = None) -> None:
    """Send all log records of the process to `stream` (stderr) in the edge format."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(EdgeFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)

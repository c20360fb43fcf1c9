"""The whole module in this process, against a hub, for scenarios."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from visionedge.app import App
from visionedge.settings import Document, merge

BUNDLE = "models/pcb-defects"
PATIENCE_S = 30.0


def busy_line(folder: Path, **changes: Any) -> Document:  # noqa: ANN401 - settings are JSON
    """Settings of a line with many defects, nearly all of them doubted."""
    document: Document = {
        "cameras": {"line-1": {"kind": "pattern", "defect_rate": 6, "fps": 15}},
        "models": {"default": {"path": BUNDLE}},
        "decision": {"accept": 1.0},
        "escalation": {"min_interval_s": 0.2, "view_wait_s": 0.2},
        "spool": {"path": str(folder / "spool.db")},
        "uplink": {"local_path": str(folder / "outbox")},
        "telemetry": {"interval_s": 2},
        "http": {"port": 0},
    }
    return merge(document, changes)


@contextmanager
def running(document: Document, grace_s: float = 8.0) -> Iterator[App]:
    """The module from its start to its stop."""
    app = App([document], environment=os.environ)
    try:
        app.start()
        yield app
    finally:
        app.stop(grace_s)


def wait_until(happened: Callable[[], bool], what: str, timeout_s: float = PATIENCE_S) -> None:
    """Return once `happened`; fail, saying `what` did not come, after `timeout_s`."""
    never = threading.Event()
    deadline = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"
        never.wait(0.02)

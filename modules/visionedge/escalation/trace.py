"""The trace of decisions: what `visionedge replay` needs to decide the same again, bit for bit.

A decision depends on the frames before it, on what was asked meanwhile, and on when. So a
`TracedDecider` writes down every call that it gets, in the order in which they act, under one
lock: the frame by its number and time, what became of each question, what was spent. There
are no pictures in it; whoever has them (the file that the camera played) can replay it.

It is one JSON line a call. Numbers are written so that they read back the same. Where the
file cannot be written, or is full, the trace ends and decisions go on.

What this does not promise: the same decisions from a trace that was begun in the middle, as
what the module had its eye on before is not in it; or on another processor, where a model's
last digit may differ.
"""

import json
import logging
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, TextIO

from visionedge.entities import Decision, Frame, Prediction
from visionedge.escalation.decide import Decider

log: Final = logging.getLogger(__name__)
_MOST_BYTES: Final = 256 * 1024**2
_FLUSH_S: Final = 1.0


class Trace:
    """A file of calls. `lock` is held by whoever makes a call and writes it.

    Args:
        path: the file; begun anew.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self.lock: Final = threading.RLock()
        self._file: TextIO | None = None
        self._left_bytes = _MOST_BYTES
        self._flush_s = 0.0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", encoding="utf-8")
        except OSError as error:
            log.error("there is no trace of decisions: %s", error)

    def write(self, call: str, **said: Any) -> None:  # noqa: ANN401 - any JSON value
        """Add one call."""
        if self._file is None:
            return
        line = json.dumps({"call": call, **said}) + "\n"
        self._left_bytes -= len(line)
        try:
            if self._left_bytes < 0:
                raise OSError(f"it has reached {_MOST_BYTES} bytes")
            self._file.write(line)
            if (now_s := time.monotonic()) >= self._flush_s:
                self._flush_s = now_s + _FLUSH_S
                self._file.flush()
        except OSError as error:
            log.error("the trace of decisions ends: %s", error)
            self._file = None

    def close(self) -> None:
        """Write what is left."""
        with self.lock:
            if self._file is not None:
                file, self._file = self._file, None
                try:
                    file.close()
                except OSError as error:
                    log.error("the trace of decisions lacks its end: %s", error)


class TracedDecider(Decider):
    """A decider whose calls are written down."""

    trace: Trace

    def decide(self, frame: Frame, prediction: Prediction) -> Decision:
        """Decide on one frame, and write it down."""
        with self.trace.lock:
            decision = super().decide(frame, prediction)
            self.trace.write(
                "decide",
                camera=frame.camera_id,
                seq=frame.seq,
                captured_ns=frame.captured_ns,
                **told(decision),
            )
        return decision

    def admit(self, frame: Frame, decision: Decision, now_ns: int) -> str:
        """Admit a question, and write it down."""
        with self.trace.lock:
            cause = super().admit(frame, decision, now_ns)
            value = decision.question.value if decision.question else None
            self._write("admit", frame, value=value, now_ns=now_ns, cause=cause)
        return cause

    def spend(self, camera_id: str, size_bytes: int, now_ns: int) -> None:
        """Draw on the budget, and write it down."""
        with self.trace.lock:
            super().spend(camera_id, size_bytes, now_ns)
            self.trace.write("spend", camera=camera_id, size_bytes=size_bytes, now_ns=now_ns)

    def settle(self, frame: Frame, decision: Decision) -> None:
        """A second look has settled a doubt; write it down."""
        with self.trace.lock:
            super().settle(frame, decision)
            self._write("settle", frame)

    def reconsider(
        self, frame: Frame, prediction: Prediction, accepted: Decision, doubt: float
    ) -> Decision | None:
        """Reconsider a confident frame, and write it down."""
        with self.trace.lock:
            decision = super().reconsider(frame, prediction, accepted, doubt)
            self._write("reconsider", frame, doubt=doubt, asked=decision is not None)
        return decision

    def give_up(self, frame: Frame, decision: Decision) -> None:
        """Give a question up, and write it down."""
        with self.trace.lock:
            super().give_up(frame, decision)
            self._write("give_up", frame)

    def restore(self, made: Iterable[tuple[str, int, float]], now_ns: int) -> None:
        """Draw the budgets by the past, and write it down."""
        spent = list(made)
        with self.trace.lock:
            super().restore(spent, now_ns)
            self.trace.write("restore", made=spent, now_ns=now_ns)

    def _write(self, call: str, frame: Frame, **said: Any) -> None:  # noqa: ANN401 - any JSON value
        self.trace.write(call, camera=frame.camera_id, seq=frame.seq, **said)


def told(decision: Decision) -> dict[str, Any]:
    """What is compared of a decision: all that does not hang on chance."""
    return {
        "action": decision.action.value,
        "reason": decision.reason,
        "score": decision.score,
        "value": decision.question.value if decision.question else None,
        "provisional": decision.provisional.value if decision.provisional else None,
    }

"""A camera in memory: a `CameraSource` whose frames, failures and hangs a test sends itself."""

import threading
from collections import deque
from typing import Final

import numpy as np

from visionedge.cameras.feed import CameraState
from visionedge.cameras.source import Traits
from visionedge.entities import Image, Prediction
from visionedge.errors import CameraEnded, CameraError, CameraUnavailable

DEADLINE_S: Final = 10.0
"""How long a test waits for what must happen; it mostly happens within milliseconds."""


def picture(value: int, height: int = 48, width: int = 64) -> Image:
    """(height, width, 3), all of one grey."""
    return np.full((height, width, 3), value, np.uint8)


class FakeCamera:
    """Gives what was sent to it, in order, and waits when there is nothing.

    Args:
        frames: sent from the beginning.
        live, patient: as in `Traits`.
        timeout_s: how long `grab` waits until it raises `CameraUnavailable`; also the
            timeout that it promises.
    """

    def __init__(
        self,
        *frames: Image,
        live: bool = True,
        patient: bool = False,
        timeout_s: float = DEADLINE_S,
    ) -> None:
        self.traits = Traits(timeout_s, timeout_s, live, patient)
        self.opened = 0
        self.closed = 0
        self.retrieved = 0
        self.closed_by = ""
        self._changed = threading.Condition()
        self._sent: deque[Image | Exception] = deque(frames)
        self._refusals: deque[CameraError] = deque()
        self._hanging = ""
        self._spared = 0
        self._hung = False
        self._waiting = False
        self._is_open = False
        self._grabbed: Image | _Damaged | None = None

    def send(self, *items: Image | Exception) -> None:
        """Frames that can be grabbed, or errors that a grab will raise."""
        with self._changed:
            self._sent.extend(items)
            self._waiting = False
            self._changed.notify_all()

    def send_damaged(self) -> None:
        """A frame that can be grabbed and not decoded."""
        self.send(_Damaged("a frame could not be decoded"))

    def end(self) -> None:
        """No more frames."""
        self.send(CameraEnded("the fake camera ended"))

    def refuse(self, *errors: CameraError) -> None:
        """The next attempts to open fail."""
        with self._changed:
            self._refusals.extend(errors)

    def hang(self, call: str, after: int = 0) -> None:
        """Let an `open`, `grab`, `retrieve` or `close` not return until `let_go`.

        Args:
            call: which.
            after: how many of them still return before.
        """
        with self._changed:
            self._hanging, self._spared = call, after
            self._changed.notify_all()

    def let_go(self) -> None:
        """Let a hanging call return."""
        with self._changed:
            self._hanging = ""
            self._hung = False
            self._changed.notify_all()

    def wait_until(self, what: str, least: int = 1) -> None:
        """Wait until `opened`, `closed` or `retrieved` has reached `least`.

        Or until a call is `hung`, or a grab is `waiting` because all was taken that was sent.
        """
        name = f"_{what}" if what in ("hung", "waiting") else what
        with self._changed:
            reached = self._changed.wait_for(lambda: getattr(self, name) >= least, DEADLINE_S)
        assert reached, f"{what} is {getattr(self, name)}, not {least}"

    def open(self) -> None:
        with self._changed:
            self._maybe_hang("open")
            if self._refusals:
                raise self._refusals.popleft()
            self.opened += 1
            self._is_open = True
            self._grabbed = None
            self._changed.notify_all()

    def grab(self) -> None:
        with self._changed:
            self._maybe_hang("grab")
            if not self._is_open:
                raise CameraUnavailable("the fake camera is not open")
            self._grabbed = None
            while not self._sent:
                self._waiting = True
                self._changed.notify_all()
                if not self._changed.wait_for(
                    lambda: self._sent or self._hanging == "grab", self.traits.read_timeout_s
                ):
                    raise CameraUnavailable("the fake camera sent nothing")
                if not self._sent:
                    self._maybe_hang("grab")
            self._waiting = False
            if isinstance(self._sent[0], CameraEnded):
                raise self._sent[0]  # and stays, because an end is final
            item = self._sent.popleft()
            if isinstance(item, Exception) and not isinstance(item, _Damaged):
                raise item
            self._grabbed = item

    def retrieve(self) -> tuple[Image, Prediction | None]:
        with self._changed:
            self._maybe_hang("retrieve")
            if isinstance(self._grabbed, _Damaged):
                raise self._grabbed
            if not self._is_open or self._grabbed is None:
                raise CameraUnavailable("the fake camera has no grabbed frame")
            self.retrieved += 1
            self._changed.notify_all()
            return self._grabbed.copy(), None

    def close(self) -> None:
        with self._changed:
            self._maybe_hang("close")
            self._is_open = False
            self.closed += 1
            self.closed_by = threading.current_thread().name
            self._changed.notify_all()

    def _maybe_hang(self, call: str) -> None:
        if self._hanging != call:
            return
        if self._spared:
            self._spared -= 1
        else:
            self._hung = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._hanging != call)


class _Damaged(CameraUnavailable):
    """Stands in the queue for a frame that will not decode."""


class States:
    """Notes the states that a feed reports, and lets a test wait for them."""

    def __init__(self) -> None:
        self.seen: list[tuple[CameraState, str]] = []
        self._changed = threading.Condition()

    def __call__(self, camera_id: str, state: CameraState, detail: str) -> None:
        with self._changed:
            self.seen.append((state, detail))
            self._changed.notify_all()

    def wait_for(self, state: CameraState, times: int = 1) -> str:
        """Wait until `state` was reported `times` times; returns the detail of the last."""
        with self._changed:
            reached = self._changed.wait_for(lambda: self._count(state) >= times, DEADLINE_S)
            assert reached, f"no {state} x {times} among {self.seen}"
            return [detail for seen, detail in self.seen if seen is state][times - 1]

    def names(self) -> list[CameraState]:
        with self._changed:
            return [state for state, _ in self.seen]

    def _count(self, state: CameraState) -> int:
        return sum(seen is state for seen, _ in self.seen)

"""What changes for good or bad is told once: in the log, in the metrics, and to the hub.

Called by whoever notices, in any thread; a note is left for the reporter, which writes it.
"""

import logging
from collections.abc import Callable
from typing import Final

from visionedge.cameras.feed import CameraState
from visionedge.errors import SpoolCorrupt
from visionedge.escalation.quality import FAULTS
from visionedge.load import OVERLOADED
from visionedge.metrics import Metrics
from visionedge.undecided import UNDECIDED

log: Final = logging.getLogger(__name__)
_NEWS: Final = (CameraState.LOST, CameraState.RUNNING, CameraState.ENDED)
Note = Callable[[str, str, str], object]
"""Takes part, state and detail of a health message."""


class News:
    """Where the parts of the module say what has changed.

    Args:
        note: leaves a health message.
        metrics: show faults of pictures.
    """

    def __init__(self, note: Note, metrics: Metrics) -> None:
        self._note = note
        self._metrics = metrics

    def camera(self, camera_id: str, state: CameraState, detail: str) -> None:
        """A camera was lost, came back, or ended; its feed has written the log."""
        if state in _NEWS:
            self._note(f"camera/{camera_id}", state, detail)

    def picture(self, camera_id: str, fault: str) -> None:
        """A picture became bad, or good again."""
        for each in FAULTS:
            self._metrics.camera_fault.labels(camera_id, each).set(each == fault)
        detail = "doubt about it is not sent until it is mended" if fault else "it is good again"
        log.warning("the picture of %s is %s: %s", camera_id, fault or "good", detail)
        self._note(f"camera/{camera_id}/picture", fault or "good", detail)

    def undecided(self, camera_id: str, failed: int) -> None:
        """The model fails on all frames of a camera, or no longer; the pipeline logs each error."""
        if failed:
            state, detail = UNDECIDED, f"the model failed on all of the last {failed} frames"
        else:
            state, detail = "decided", "frames are decided on again"
        log.warning("%s: %s", camera_id, detail)
        self._note(f"camera/{camera_id}/frames", state, detail)

    def load(self, state: str, reason: str) -> None:
        """The machine does not keep up with its cameras, or does again."""
        if state == OVERLOADED:
            log.warning("the machine is overloaded: %s", reason)
        else:
            log.info("the machine %s: %s", state, reason)
        self._note("load", state, reason)

    def delivery(self, name: str, state: str, detail: str) -> None:
        """A bundle has gone a step; the delivery has written the log."""
        self._note(f"model/{name}", state, detail)

    def corrupt(self, error: SpoolCorrupt) -> None:
        """The spool was set aside; it has written the log."""
        self._note("spool", "corrupt", str(error))

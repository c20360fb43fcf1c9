"""The virtual line as a camera: rendered boards at an even rate, with ground truth.

The number of a frame is the number of its scene: each `grab` moves the line on by exactly
one frame, however late it comes, and reopening does not rewind it. So whoever knows the
`LineSpec` can ask for the truth of a frame by its sequence number alone, in another
process too, as the verifier of the demo does.
"""

import threading
from typing import Final

import numpy as np

from visionedge.cameras.defects import DEFECT_LABELS
from visionedge.cameras.pacer import Pacer
from visionedge.cameras.scene import LineSpec, VirtualLine
from visionedge.cameras.source import Traits
from visionedge.entities import Detections, Image
from visionedge.errors import CameraUnavailable
from visionedge.runtime.clock import Clock
from visionedge.settings import PatternCamera

_RENDER_TIMEOUT_S: Final = 30.0
"""Rendering takes milliseconds; this is for a device that is out of memory or suspended."""


def line_spec(settings: PatternCamera) -> LineSpec:
    """What a camera's settings say about the scene."""
    return LineSpec(
        width_px=settings.width_px,
        height_px=settings.height_px,
        fps=settings.fps,
        seed=settings.seed,
        defect_rate=settings.defect_rate,
    )


class PatternSource:
    """A `CameraSource` that renders."""

    def __init__(
        self,
        settings: PatternCamera,
        halt: threading.Event | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.traits = Traits(
            open_timeout_s=_RENDER_TIMEOUT_S,
            read_timeout_s=1 / settings.fps + _RENDER_TIMEOUT_S,
            live=False,
        )
        self._spec = line_spec(settings)
        self._pacer = Pacer(settings.fps, halt, clock)
        self._line: VirtualLine | None = None
        self._index = -1
        self._grabbed = False

    def open(self) -> None:
        """Build the line; it goes on where it stood."""
        if self._line is None:
            self._line = VirtualLine(self._spec)
            # The boards in view take a while to paint: now, and not in the first frame.
            self._line.render(self._index + 1)
        self._grabbed = False

    def grab(self) -> None:
        """Move on by one frame, when it is due."""
        if self._line is None:
            raise CameraUnavailable("the virtual line is not open")
        self._pacer.wait()
        self._index += 1
        self._grabbed = True

    def retrieve(self) -> tuple[Image, Detections]:
        """Render the frame, and tell the defects in it."""
        if self._line is None or not self._grabbed:
            raise CameraUnavailable("the virtual line has no grabbed frame")
        truth = self._line.truth(self._index)
        detections = Detections(
            xyxy=truth.xyxy,
            confidence=np.ones(len(truth.xyxy), np.float32),
            class_id=truth.class_id,
            labels=DEFECT_LABELS,
        )
        return self._line.render(self._index), detections

    def close(self) -> None:
        """Let the line's rendered boards go."""
        if self._line is not None:
            self._line.close()
        self._line = None
        self._grabbed = False

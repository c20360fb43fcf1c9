"""What a perfect inspector would say of an escalated picture of the virtual line.

The line is a pure function of its seed, so the truth of frame `seq` can be computed here,
in another process than the module's, without a pixel being drawn.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from devhub.verdicts import Sighting
from visionedge.cameras.defects import DEFECT_LABELS
from visionedge.cameras.scene import LineSpec, VirtualLine
from visionedge.settings import PatternCamera

_MIN_VISIBLE: Final = 0.6
"""Share of a box that must be in the picture for an inspector to name it."""


class LineOracle:
    """Answers for one camera that shows the virtual line; None for every other camera."""

    def __init__(self, camera: str, settings: PatternCamera) -> None:
        self._camera = camera
        self._line = VirtualLine(
            LineSpec(
                width_px=settings.width_px,
                height_px=settings.height_px,
                fps=settings.fps,
                seed=settings.seed,
                defect_rate=settings.defect_rate,
            )
        )

    def __call__(self, escalation: dict[str, Any]) -> list[Sighting] | None:
        """The objects in the picture that was sent.

        Args:
            escalation: the `escalation/1` body.

        Returns:
            One sighting a defect, its box normalised 0..1 to the picture; None where the
            truth is not known.
        """
        if escalation["camera"] != self._camera:
            return None
        truth = self._line.truth(int(escalation["frame"]["seq"]))
        boxes, visible = _to_picture(truth.xyxy, escalation["image"]["crop"])
        return [
            Sighting(
                label=DEFECT_LABELS[int(class_id)], confidence=1.0, box=[float(v) for v in box]
            )
            for box, class_id, seen in zip(boxes, truth.class_id, visible, strict=True)
            if seen >= _MIN_VISIBLE
        ]


def _to_picture(
    xyxy: NDArray[np.float32], crop: list[int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes of the frame as boxes of the crop, and which share of each is in it."""
    x1, y1, x2, y2 = crop
    size = np.array([x2 - x1, y2 - y1, x2 - x1, y2 - y1], np.float32)
    moved = (xyxy - np.array([x1, y1, x1, y1], np.float32)) / size
    clipped: NDArray[np.float32] = np.clip(moved, 0, 1).astype(np.float32)
    share = _area(clipped) / np.maximum(_area(moved), 1e-9)
    return clipped, share.astype(np.float32)


def _area(xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
    return (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1])

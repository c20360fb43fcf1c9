"""Frames and predictions, made by hand."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Classification, Detections, Frame, Image

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def frame(
    image: Image | None = None,
    *,
    camera_id: str = "line-1",
    seq: int = 1,
    captured_s: float = 100.0,
) -> Frame:
    """A frame of a grey picture, or of `image`, taken `captured_s` after the clock began."""
    if image is None:
        image = np.full((480, 640, 3), 128, dtype=np.uint8)
    image.flags.writeable = False
    return Frame(image, camera_id, seq, NOON, round(captured_s * 1e9))


def boxes(
    *confidence: float,
    labels: tuple[str, ...] = ("open", "short"),
    class_id: Sequence[int] | None = None,
    xyxy: Sequence[tuple[float, float, float, float]] | None = None,
) -> Detections:
    """Boxes of the given confidences, side by side if not said otherwise, of class 0."""
    n = len(confidence)
    where = xyxy if xyxy is not None else [(40.0 * i, 10.0, 40.0 * i + 30, 40.0) for i in range(n)]
    return Detections(
        xyxy=np.array(where, dtype=np.float32).reshape(n, 4),
        confidence=np.array(confidence, dtype=np.float32),
        class_id=np.array(class_id if class_id is not None else [0] * n, dtype=np.int32),
        labels=labels,
    )


def classes(*confidence: float, multilabel: bool = False, prefix: str = "class ") -> Classification:
    """A classification with the given confidences."""
    labels = tuple(f"{prefix}{i}" for i in range(len(confidence)))
    return Classification(np.array(confidence, dtype=np.float32), labels, multilabel)


def texture(width: int, height: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """Noise, (height, width, 3): the picture that JPEG can do least about."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)

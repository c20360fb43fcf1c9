"""Which virtual lines are for learning, and which are held out.

Every seed of the renderer is another factory: other boards, other finishes, other defects. The
ranges below do not meet, so no board that was learned from is ever measured on. Lines to learn
from differ more than the line that the product shows (more defects, worse light, blur, noise and
tilt): a detector that has only seen one camera's taste fails on the next one.

Not promised: that seven hundred pixels of synthetic belt stand for a real factory. The bundle's
README states what was measured on real boards.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from visionedge.cameras.scene import LineSpec, VirtualLine
from visionedge.entities import Image


class Split(IntEnum):
    """The first seed of each range; a range is a million seeds wide."""

    LEARN = 1_000_000
    CHECKPOINT = 2_000_000
    CALIBRATE = 3_000_000
    MEASURE = 4_000_000
    GOLDEN = 5_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One frame with its ground truth.

    Attributes:
        image: (h, w, 3) uint8 BGR; (h, w) where training reads a scanner's grey picture.
        xyxy: (n, 4) float32, pixels.
        class_id: (n,) int32, index into `DEFECT_LABELS`.
    """

    image: Image
    xyxy: NDArray[np.float32]
    class_id: NDArray[np.int32]


def varied_line(seed: int) -> LineSpec:
    """A line to learn from: crowded with defects, and worse in light and optics than most."""
    rng = np.random.default_rng(seed)
    return LineSpec(
        seed=seed,
        lot_size=1,
        defect_rate=float(rng.uniform(3.0, 12.0)),
        lighting_drift=float(rng.uniform(0.05, 0.30)),
        blur_px=float(rng.uniform(0.3, 1.1)),
        exposure_s=float(rng.uniform(0.0, 0.012)),
        noise=float(rng.uniform(1.0, 5.0)),
        tilt_deg=float(rng.uniform(0.0, 4.0)),
    )


def crowded_line(seed: int) -> LineSpec:
    """A line as the product shows it, but with many defects, so that few frames tell much."""
    return LineSpec(seed=seed, lot_size=1, defect_rate=6.0)


def natural_line(seed: int) -> LineSpec:
    """A line just as the product shows it; most boards are good."""
    return LineSpec(seed=seed, lot_size=1)


def frames_of(spec: LineSpec, count: int) -> Iterator[Sample]:
    """Frames of one line, each with at least one board that the one before did not show."""
    line = VirtualLine(spec)
    rng = np.random.default_rng((spec.seed, count))
    step_px = spec.belt_speed_px_s / spec.fps
    for number in range(count):
        index = round((number + rng.random()) * spec.board_pitch_px / step_px)
        truth = line.truth(index)
        yield Sample(line.render(index), truth.xyxy, truth.class_id)

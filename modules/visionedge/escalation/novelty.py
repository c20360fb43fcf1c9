"""How unlike a picture is to what this camera has shown: by light, colour and edges alone.

A picture becomes 64 numbers: the mean colour and the share of edges in each of sixteen cells.
Its distance to the nearest of some hundred remembered pictures, against how far those lie from
each other, says how new it is (nearest-neighbour novelty; Angiulli, Pizzuti, "Fast Outlier
Detection in High Dimensional Spaces", 2002). The remembered ones are a fair sample of all that
passed (Vitter, "Random Sampling with a Reservoir", 1985), drawn by a fixed seed, so that a
replay remembers the same.

What it can find: a product that never passed, a board the wrong way round, a lamp that failed,
a hand in the picture. What it cannot: a defect of a few pixels, which changes none of the 64
numbers more than noise does. That is why it is off by default; docs/explanation/doubt.md has
the figures.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Frame, Image

_CELLS: Final = 4
_SMALL_PX: Final = 64
_EDGE: Final = 24.0
"""Grey levels from one pixel of the small picture to the next that count as an edge."""
_REMEMBERED: Final = 256
_LEARNED: Final = 64
"""Pictures before anything is called new."""
_SEED: Final = 1


class NoveltyWatch:
    """Watches one camera. Not safe for threads: its owner locks."""

    def __init__(self) -> None:
        self._kept = np.zeros((_REMEMBERED, 4 * _CELLS**2), np.float32)
        self._seen = 0
        self._usual = 0.0
        self._chance = np.random.default_rng(_SEED)

    def look(self, frame: Frame) -> float:
        """How new a frame is, 0 to 1; of its picture 64 numbers are kept and nothing else."""
        return self.of(frame.image)

    def of(self, image: Image) -> float:
        """How new a picture is, 0 (as always) to 1; it is remembered, perhaps.

        Args:
            image: (H, W, 3) uint8 BGR.
        """
        features = features_of(image)
        count = min(self._seen, _REMEMBERED)
        novelty, distance = 0.0, 0.0
        if count:
            distance = float(np.abs(self._kept[:count] - features).mean(axis=1).min())
        if count >= _LEARNED and distance > self._usual > 0:
            novelty = 1 - self._usual / distance
        self._remember(features, distance)
        return novelty

    def _remember(self, features: NDArray[np.float32], distance: float) -> None:
        if self._seen < _REMEMBERED:
            self._kept[self._seen] = features
        elif (place := int(self._chance.integers(0, self._seen + 1))) < _REMEMBERED:
            self._kept[place] = features
        self._seen += 1
        # How far a picture usually is from its nearest, learned slowly.
        weight = max(1 / self._seen, 1 / _REMEMBERED)
        self._usual += weight * (distance - self._usual)


def features_of(image: Image) -> NDArray[np.float32]:
    """(64,) float32, 0..1: colour and edges of sixteen cells."""
    small = cv2.resize(image, (_SMALL_PX, _SMALL_PX), interpolation=cv2.INTER_AREA)
    cells = (_CELLS, _CELLS)
    colour = cv2.resize(small, cells, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    grey = small[:, :, 1].astype(np.float32)
    edges = np.zeros_like(grey)
    edges[:-1, :-1] = (np.abs(np.diff(grey, axis=0))[:, :-1] > _EDGE) | (
        np.abs(np.diff(grey, axis=1))[:-1, :] > _EDGE
    )
    rough = cv2.resize(edges, cells, interpolation=cv2.INTER_AREA)
    return np.concatenate([colour.ravel(), rough.ravel()]).astype(np.float32)

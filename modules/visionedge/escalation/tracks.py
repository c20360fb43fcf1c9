"""Which boxes of successive frames are the same object: simple tracking for one camera.

Each track predicts where its object is now, and each box goes to the nearest prediction if
both choose each other. What passes a line camera passes at one speed, so a new track begins
with the speed of the ones before it: at five frames a second a small defect does not
overlap with itself, and overlap alone would join nothing.

A track also remembers how its object looked: whether it was taken, and as what. Its flicker
is 0 where all sightings agree and 1 where they are split in halves.

Workers finish frames out of order. A late frame is matched with where the objects were at
its time, and moves nothing.

What this does not promise: identity through crossings, turns or long cover. A wrong join
costs an escalation, a missed one asks twice; both are bounded by what is asked at all.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Detections

MOST_TRACKS: Final = 64
"""Boxes followed a frame, best first: matching grows with the square."""
_FORGET_S: Final = 2.0
"""Unseen for so long, an object is gone; a box near the floor comes and goes."""
_GATE: Final = 1.5
"""Of a box's diagonal: how far from its predicted place an object may be."""
_FIRST_GATE: Final = 3.0
"""The same while the camera's speed is not known."""
_SMOOTHING: Final = 0.5
_STEADY_SIGHTINGS: Final = 4
"""Fewer say nothing about flicker."""
_MEMORY: Final = 0.9
"""Weight of the past with each sighting: about the last ten count."""
_MOST_DOUBTFUL: Final = 0.2
"""Share of late sightings in doubt that an object may have and still count as sure."""


@dataclass(slots=True)
class Track:
    """One object.

    Attributes:
        id: never used twice.
        centre: (2,) float64, pixels.
        diagonal_px: of its latest box.
        velocity: (2,) float64, pixels a second.
        seen_ns: of the newest frame that showed it.
        asked_ns: capture time of the frame that was sent about it.
        question: id of the question that will be asked about it.
    """

    id: int
    centre: NDArray[np.float64]
    diagonal_px: float
    velocity: NDArray[np.float64]
    seen_ns: int
    sightings: int = 0
    asked_ns: int | None = None
    question: str = ""
    _votes: dict[int, float] = field(default_factory=dict)
    _doubtful: float = 0.0

    def vote(self, class_id: int, taken: bool) -> None:
        """Remember one sighting."""
        self.sightings += 1
        for key in self._votes:
            self._votes[key] *= _MEMORY
        key = class_id if taken else -1 - class_id
        self._votes[key] = self._votes.get(key, 0.0) + 1.0

    @property
    def flicker(self) -> float:
        """0 (all sightings agree) to 1 (split in halves)."""
        if self.sightings < _STEADY_SIGHTINGS:
            return 0.0
        most = max(self._votes.values()) / sum(self._votes.values())
        return min(1.0, 4 * most * (1 - most)) if most > 1 / 2 else 1.0

    def judge(self, doubtful: bool) -> None:
        """Remember whether the rules doubted this sighting."""
        self._doubtful = _MEMORY * self._doubtful + (1.0 if doubtful else 0.0)

    @property
    def sure(self) -> bool:
        """Enough sightings, and hardly one of them doubtful."""
        if self.sightings < _STEADY_SIGHTINGS:
            return False
        return self._doubtful <= _MOST_DOUBTFUL * sum(self._votes.values())


class Tracks:
    """The objects of one camera. Not safe for threads: its owner locks."""

    def __init__(self) -> None:
        self._tracks: list[Track] = []
        self._next_id = 1
        self._now_ns = 0
        self._speed: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self._tracks)

    def observe(
        self, detections: Detections, taken: NDArray[np.bool_], captured_ns: int
    ) -> list[Track]:
        """The track of each of the first `MOST_TRACKS` boxes, in their order.

        Args:
            detections: what is to be followed; noise is left out by the caller.
            taken: (n,) bool, which boxes are taken as they are.
            captured_ns: of the frame.
        """
        boxes = detections.xyxy[:MOST_TRACKS].astype(np.float64)
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        diagonals = np.hypot(*(boxes[:, 2:] - boxes[:, :2]).T)
        late = captured_ns < self._now_ns
        if not late:
            self._forget(captured_ns)
        matched = self._match(centres, diagonals, captured_ns)
        speeds = []
        found: list[Track] = []
        for i, match in enumerate(matched):
            track = match or self._begin(centres[i], diagonals[i], captured_ns)
            if match is not None and captured_ns > track.seen_ns:
                speeds.append(self._move(track, centres[i], diagonals[i], captured_ns))
            track.vote(int(detections.class_id[i]), bool(taken[i]))
            found.append(track)
        if speeds:
            self._learn(np.median(speeds, axis=0))
        self._now_ns = max(self._now_ns, captured_ns)
        return found

    def of_question(self, question: str) -> list[Track]:
        """The objects that wait for it."""
        return [track for track in self._tracks if track.question == question]

    def of_ids(self, ids: frozenset[int]) -> list[Track]:
        """Those of them that are still in view."""
        return [track for track in self._tracks if track.id in ids]

    def _match(
        self, centres: NDArray[np.float64], diagonals: NDArray[np.float64], now_ns: int
    ) -> list[Track | None]:
        """The track that chooses each box and is chosen by it."""
        matched: list[Track | None] = [None] * len(centres)
        if not self._tracks or not len(centres):
            return matched
        places = np.array(
            [t.centre + t.velocity * ((now_ns - t.seen_ns) / 1e9) for t in self._tracks]
        )
        apart = np.hypot(
            np.subtract.outer(centres[:, 0], places[:, 0]),
            np.subtract.outer(centres[:, 1], places[:, 1]),
        )
        gate = _FIRST_GATE if self._speed is None else _GATE
        nearest, chooser = apart.argmin(axis=1), apart.argmin(axis=0)
        for i, j in enumerate(nearest.tolist()):
            reach = gate * max(float(diagonals[i]), self._tracks[j].diagonal_px)
            if chooser[j] == i and apart[i, j] <= reach:
                matched[i] = self._tracks[j]
        return matched

    def _begin(self, centre: NDArray[np.float64], diagonal_px: float, now_ns: int) -> Track:
        speed = np.zeros(2) if self._speed is None else self._speed
        track = Track(self._next_id, centre, float(diagonal_px), speed.copy(), now_ns)
        self._next_id += 1
        self._tracks.append(track)
        return track

    def _move(
        self, track: Track, centre: NDArray[np.float64], diagonal_px: float, now_ns: int
    ) -> NDArray[np.float64]:
        speed: NDArray[np.float64] = (centre - track.centre) / ((now_ns - track.seen_ns) / 1e9)
        weight = 1.0 if self._speed is None else _SMOOTHING
        track.velocity = (1 - weight) * track.velocity + weight * speed
        track.centre, track.diagonal_px, track.seen_ns = centre, float(diagonal_px), now_ns
        return speed

    def _learn(self, speed: NDArray[np.float64]) -> None:
        old = speed if self._speed is None else self._speed
        self._speed = _SMOOTHING * old + (1 - _SMOOTHING) * speed

    def _forget(self, now_ns: int) -> None:
        oldest_ns = now_ns - round(_FORGET_S * 1e9)
        self._tracks = [track for track in self._tracks if track.seen_ns >= oldest_ns]

"""Which boxes of successive frames are the same object: simple tracking for one camera.

Each track predicts where its object is now, and each box goes to the nearest prediction if
both choose each other. What passes a line camera passes at one speed, so a new track begins
with the speed of the ones before it: at five frames a second a small defect does not
overlap with itself, and overlap alone would join nothing.

A track also remembers how its object looked: whether it was taken, and as what. Its flicker
is 0 where all sightings agree and 1 where they are split in halves.

Workers finish frames out of order. A late frame is matched with where the objects were at
its time, and moves nothing.

Places and speeds are complex numbers, x and y in one: to Python each is one number, so that
a frame with a few boxes costs no array functions but for the matrix of distances. Right after
a run of the model each of those takes ten times as long as in a loop of its own, and so does
each object that is looked at.

What this does not promise: identity through crossings, turns or long cover. A wrong join
costs an escalation, a missed one asks twice; both are bounded by what is asked at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

import numpy as np

from visionedge.escalation.reading import Reading

MOST_TRACKS: Final = 64
"""Boxes followed a frame, best first: matching grows with the square."""
_FORGET_S: Final = 2.0
"""Unseen for so long, an object is gone; a box near the floor comes and goes."""
_TIDY_S: Final = 0.25
"""And for so much longer at most: those that are gone are let go together."""
_ROOM: Final = 64
"""For the paths of new objects, before more is made."""
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
        centre: x + iy, pixels.
        diagonal_px: of its latest box.
        velocity: x + iy, pixels a second.
        seen_ns: of the newest frame that showed it.
        asked_ns: capture time of the frame that was sent about it.
        question: id of the question that will be asked about it.
    """

    id: int
    centre: complex
    diagonal_px: float
    velocity: complex
    seen_ns: int
    sightings: int = 0
    asked_ns: int | None = None
    question: str = ""
    _votes: dict[int, float] = field(default_factory=dict)
    _doubtful: float = 0.0

    def vote(self, class_id: int, *, taken: bool) -> None:
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
        self._paths = np.zeros((2, _ROOM), np.complex128)
        """Of each track, in their order, where it would have been when the clock began, and its
        velocity: what hundreds of objects are asked for is not read from each of them."""
        self._next_id = 1
        self._now_ns = 0
        self._tidy_ns = 0
        self._speed: complex | None = None

    def __len__(self) -> int:
        return len(self._tracks)

    def observe(self, seen: Reading, floor: float, captured_ns: int) -> list[Track]:
        """The tracks of the first boxes, in their order, up to `MOST_TRACKS` that are no noise.

        Args:
            seen: what a frame shows, its boxes best first.
            floor: confidence below which a box is noise.
            captured_ns: of the frame.
        """
        # Boxes are best first, so noise is at their end.
        count = min(sum(not sure < floor for sure in seen.confidence), MOST_TRACKS)
        boxes = seen.xyxy[:count]
        centres = [complex((x1 + x2) / 2, (y1 + y2) / 2) for x1, y1, x2, y2 in boxes]
        diagonals = [abs(complex(x2 - x1, y2 - y1)) for x1, y1, x2, y2 in boxes]
        late = captured_ns < self._now_ns
        if not late:
            self._forget(captured_ns)
        matched = self._match(centres, diagonals, captured_ns)
        speeds: list[complex] = []
        found: list[Track] = []
        for i, j in enumerate(matched):
            if j is None:
                track = self._begin(centres[i], diagonals[i], captured_ns)
            else:
                track = self._tracks[j]
                if captured_ns > track.seen_ns:
                    speeds.append(self._move(j, centres[i], diagonals[i], captured_ns))
            track.vote(seen.class_id[i], taken=seen.confidence[i] >= seen.accept[i])
            found.append(track)
        if speeds:
            self._learn(complex(median(s.real for s in speeds), median(s.imag for s in speeds)))
        self._now_ns = max(self._now_ns, captured_ns)
        return found

    def of_question(self, question: str) -> list[Track]:
        """The objects that wait for it."""
        return [track for track in self._tracks if track.question == question]

    def of_ids(self, ids: frozenset[int]) -> list[Track]:
        """Those of them that are still in view."""
        return [track for track in self._tracks if track.id in ids]

    def _match(
        self, centres: Sequence[complex], diagonals: Sequence[float], now_ns: int
    ) -> list[int | None]:
        """The place in the list of the track that chooses each box and is chosen by it."""
        matched: list[int | None] = [None] * len(centres)
        if not self._tracks or not centres:
            return matched
        origin, velocity = self._paths[:, : len(self._tracks)]
        apart = np.abs(np.array(centres)[:, None] - (origin + velocity * (now_ns / 1e9)))
        gate = _FIRST_GATE if self._speed is None else _GATE
        nearest, chooser = apart.argmin(axis=1), apart.argmin(axis=0)
        for i, j in enumerate(nearest.tolist()):
            reach = gate * max(diagonals[i], self._tracks[j].diagonal_px)
            if chooser[j] == i and apart[i, j] <= reach:
                matched[i] = j
        return matched

    def _begin(self, centre: complex, diagonal_px: float, now_ns: int) -> Track:
        track = Track(self._next_id, centre, diagonal_px, self._speed or 0j, now_ns)
        self._next_id += 1
        if len(self._tracks) == self._paths.shape[1]:
            self._paths = np.pad(self._paths, ((0, 0), (0, len(self._tracks))))
        self._tracks.append(track)
        self._plot(len(self._tracks) - 1)
        return track

    def _move(self, j: int, centre: complex, diagonal_px: float, now_ns: int) -> complex:
        track = self._tracks[j]
        speed = (centre - track.centre) / ((now_ns - track.seen_ns) / 1e9)
        weight = 1.0 if self._speed is None else _SMOOTHING
        track.velocity = (1 - weight) * track.velocity + weight * speed
        track.centre, track.diagonal_px, track.seen_ns = centre, diagonal_px, now_ns
        self._plot(j)
        return speed

    def _plot(self, j: int) -> None:
        track, paths = self._tracks[j], self._paths
        paths[0, j] = track.centre - track.velocity * (track.seen_ns / 1e9)
        paths[1, j] = track.velocity

    def _learn(self, speed: complex) -> None:
        old = speed if self._speed is None else self._speed
        self._speed = _SMOOTHING * old + (1 - _SMOOTHING) * speed

    def _forget(self, now_ns: int) -> None:
        if now_ns < self._tidy_ns:
            return
        self._tidy_ns = now_ns + round(_TIDY_S * 1e9)
        oldest_ns = now_ns - round(_FORGET_S * 1e9)
        kept = [j for j, track in enumerate(self._tracks) if track.seen_ns >= oldest_ns]
        if len(kept) < len(self._tracks):
            self._tracks = [self._tracks[j] for j in kept]
            self._paths = np.pad(self._paths[:, kept], ((0, 0), (0, _ROOM)))

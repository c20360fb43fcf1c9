"""The least that decides as the module does: the floor of the decision, written into one another.

It follows objects at their speed, each box to the nearest place where both choose each other,
votes on what they are, and doubts by the four rules that doubt boxes with the default settings:
below the threshold, close above it, unstable, and two names on one object. Of a doubt it tells
how strong it is, what an answer would be worth, and how well the frame shows it, and it asks
once about each object. So it says of a frame what the module says, and a test holds it to that.

Nothing in it can be set, replaced or tried by itself. There is one camera, whose frames come in
their order; no picture is judged, no drift is watched, no confident frame is drawn, no budget is
kept, and nobody is told which objects a question is about.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final, NamedTuple

import numpy as np

from visionedge.entities import Detections, Frame

_ACCEPT: Final = 0.5
_CLOSE: Final = 0.4
_MARGIN: Final = 0.15
_UNSTABLE: Final = 0.8
_SAME_OBJECT: Final = 0.5
_MEMORY: Final = 0.9
_ASKED_MEMORY: Final = 0.99
_STEADY: Final = 4
_GATE: Final = 1.5
_FIRST_GATE: Final = 3.0
_FORGET_S: Final = 2.0
_TIDY_S: Final = 0.25
_INTERVAL_S: Final = 1.0
_WAIT_S: Final = 1.5
_BORDER_PX: Final = 2.0
_ROOM: Final = 64
"""All as the module has it by default."""


class Word(NamedTuple):
    """What it says of a frame: `reason` is empty where it is sure, `view` 0 where nobody asks."""

    reason: str
    score: float
    worth: float = 0.0
    view: float = 0.0


@dataclass(slots=True)
class _Object:
    centre: complex
    diagonal: float
    velocity: complex
    seen_s: float
    votes: dict[int, float] = field(default_factory=dict)
    sightings: int = 0
    asked: bool = False


class LeastDecision:
    """One camera's; called once a frame.

    Args:
        floor: confidence below which a box is noise.
    """

    def __init__(self, floor: float) -> None:
        self._floor = floor
        self._objects: list[_Object] = []
        # Where each would have been when the clock began, and its velocity.
        self._paths = np.zeros((2, _ROOM), np.complex128)
        self._speed: complex | None = None
        self._tidy_s = self._due_s = 0.0
        self._last_s = -_INTERVAL_S
        self._asked: dict[int, float] = {}
        # Those that the best view of the open question shows, and how well.
        self._shown: list[_Object] = []
        self._best = 0.0

    def __call__(self, frame: Frame, found: Detections) -> Word:
        """Whether a frame is doubted, and what an answer would be worth."""
        now = frame.captured_ns / 1e9
        if now >= self._tidy_s:
            self._tidy(now)
        boxes, names = found.xyxy.tolist(), found.class_id.tolist()
        confidence: list[float] = found.confidence.tolist()
        seen = self._follow(now, boxes)
        reason, score, doubted = self._doubt(seen, boxes, names, confidence)
        if now >= self._due_s and self._shown:
            for one in self._shown:
                one.asked = True
            self._best, self._shown = 0.0, []
        open_ = [i for i in sorted(doubted) if not seen[i].asked]
        if not open_:
            return Word(reason, score)
        name = names[open_[0]]
        rarity = 1 - self._asked.get(name, 0.0) / (sum(self._asked.values()) + 1)
        if not self._may_ask(now, name):
            return Word(reason, score)
        view = _view(frame, [boxes[i] for i in open_])
        if view > self._best:
            self._best, self._shown = view, [seen[i] for i in open_]
        return Word(reason, score, score * (1 + rarity) / 2, view)

    def _follow(self, now: float, boxes: Sequence[Sequence[float]]) -> list[_Object]:
        """The object of each box."""
        objects, paths, speed = self._objects, self._paths, self._speed
        centres = [complex(x1 + x2, y1 + y2) / 2 for x1, y1, x2, y2 in boxes]
        known = len(objects) if boxes else 0
        if known:
            away = np.array(centres)[:, None] - (paths[0, :known] + paths[1, :known] * now)
            apart = np.abs(away)
            nearest, chooser = apart.argmin(axis=1).tolist(), apart.argmin(axis=0)
        gate, weight = (_FIRST_GATE, 1.0) if speed is None else (_GATE, 0.5)
        seen: list[_Object] = []
        speeds: list[complex] = []
        for i, (x1, y1, x2, y2) in enumerate(boxes):
            centre, diagonal = centres[i], abs(complex(x2 - x1, y2 - y1))
            j = nearest[i] if known else 0
            if (
                known
                and chooser[j] == i
                and apart[i, j] <= gate * max(diagonal, objects[j].diagonal)
            ):
                one = objects[j]
                speeds.append((centre - one.centre) / (now - one.seen_s))
                one.velocity = (1 - weight) * one.velocity + weight * speeds[-1]
                one.centre, one.diagonal, one.seen_s = centre, diagonal, now
            else:
                j, one = len(objects), _Object(centre, diagonal, speed or 0j, now)
                objects.append(one)
                if j == paths.shape[1]:
                    paths = self._paths = np.pad(paths, ((0, 0), (0, j)))
            seen.append(one)
            paths[0, j], paths[1, j] = centre - one.velocity * now, one.velocity
        if speeds:
            middle = complex(median(s.real for s in speeds), median(s.imag for s in speeds))
            self._speed = middle if speed is None else (speed + middle) / 2
        return seen

    def _doubt(
        self,
        seen: Sequence[_Object],
        boxes: Sequence[Sequence[float]],
        names: Sequence[int],
        confidence: Sequence[float],
    ) -> tuple[str, float, set[int]]:
        """The strongest doubt, its score, and all boxes in doubt; each object gets its vote."""
        reason, score, floor = "", 0.0, self._floor
        doubted: set[int] = set()
        for i, one in enumerate(seen):
            votes, sure = one.votes, confidence[i]
            for each in votes:
                votes[each] *= _MEMORY
            vote = names[i] if sure >= _ACCEPT else -1 - names[i]
            votes[vote] = votes.get(vote, 0.0) + 1.0
            one.sightings += 1
            why, much = "", 0.0
            if sure < _ACCEPT:
                why, much = "below_threshold", (sure - floor) / (_ACCEPT - floor)
            elif sure < _ACCEPT + _CLOSE:
                why, much = "close_to_threshold", (1 - sure) / (1 - _ACCEPT)
            if one.sightings >= _STEADY:
                most = max(votes.values()) / sum(votes.values())
                flicker = min(1.0, 4 * most * (1 - most)) if most > 1 / 2 else 1.0
                if flicker > max(_UNSTABLE, much):
                    why, much = "unstable", flicker
            for k in range(i):
                gap = confidence[k] - sure
                if (
                    gap < _MARGIN
                    and names[k] != names[i]
                    and _shared(boxes[k], boxes[i]) >= _SAME_OBJECT
                ):
                    doubted.add(k)
                    why, much = ("rivals", 1 - gap) if 1 - gap > much else (why, much)
            if why:
                doubted.add(i)
                if much > score:
                    reason, score = why, much
        return reason, score, doubted

    def _may_ask(self, now: float, name: int) -> bool:
        """Whether a question is open, or may be opened now."""
        if now < self._due_s:
            return True
        if now - self._last_s < _INTERVAL_S:
            return False
        self._last_s, self._due_s = now, now + _WAIT_S
        for known in self._asked:
            self._asked[known] *= _ASKED_MEMORY
        self._asked[name] = self._asked.get(name, 0.0) + 1
        return True

    def _tidy(self, now: float) -> None:
        self._tidy_s = now + _TIDY_S
        kept = [j for j, one in enumerate(self._objects) if one.seen_s >= now - _FORGET_S]
        self._objects = [self._objects[j] for j in kept]
        self._paths = np.pad(self._paths[:, kept], ((0, 0), (0, _ROOM)))


def _shared(one: Sequence[float], other: Sequence[float]) -> float:
    """Intersection over union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    areas = [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (one, other)]
    return both / (sum(areas) - both)


def _view(frame: Frame, boxes: Sequence[Sequence[float]]) -> float:
    width, height = frame.width, frame.height
    view = 0.0
    for x1, y1, x2, y2 in boxes:
        ends = x2 < width - _BORDER_PX and y2 < height - _BORDER_PX
        view += 1.0 if ends and min(x1, y1) > _BORDER_PX else 0.5
        off_centre = max(abs((x1 + x2) / width - 1), abs((y1 + y2) / height - 1))
        view -= 0.4 * off_centre / len(boxes)
    return view

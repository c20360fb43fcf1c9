"""What a picture shows, as the verdict has it: the label that a trainer learns from.

A verdict is a proposal: the better the verifier, the better the set. One that gave up, or answered
another question than was asked (names where boxes were), says nothing to learn from, and its
sample is left out. A scene that the verifier calls empty is a truth too: an empty one.

Classifications take the verdict's best class. Boxes are 0..1 of the picture, corners in order.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from visionedge.datasets.sample import Sample
from visionedge.wire import Box


@dataclass(frozen=True, slots=True)
class Region:
    """One object: what it is, and x1, y1, x2, y2 in 0..1 of the picture."""

    label: str
    box: Box


@dataclass(frozen=True, slots=True)
class Example:
    """A picture with its truth.

    Attributes:
        name: of its file, without a suffix.
        width, height: pixels.
        regions: its objects; None where the picture as a whole has a class.
        label: that class; empty where it has objects.
        jpeg: reads the picture; None where it is gone.
    """

    name: str
    width: int
    height: int
    regions: tuple[Region, ...] | None
    label: str
    jpeg: Callable[[], bytes | None]

    @property
    def labels(self) -> tuple[str, ...]:
        """Each name in it, once, in order."""
        named = [self.label] if self.regions is None else [each.label for each in self.regions]
        return tuple(dict.fromkeys(named))


def example_of(sample: Sample, jpeg: Callable[[], bytes | None]) -> Example | None:
    """The truth of a sample; None where its verdict says nothing to learn from."""
    verdict, image = sample.verdict, sample.escalation.image
    if verdict.status != "verified":
        return None
    regions: tuple[Region, ...] | None = None
    label = ""
    if sample.escalation.prediction.task == "detection":
        if verdict.classes and not verdict.detections:
            return None
        upright = [Region(each.label, _upright(each.box)) for each in verdict.detections]
        regions = tuple(each for each in upright if _has_area(each.box))
    else:
        if not verdict.classes:
            return None
        label = min(verdict.classes, key=lambda c: (-c.confidence, c.label)).label
    name = PurePosixPath(sample.picture).stem
    return Example(name, image.width, image.height, regions, label, jpeg)


class Names:
    """The classes of a set, sorted, spelling aside: `pin-hole` is `Pin hole`.

    The spelling that is met most often stands; of equals, the first in the alphabet.
    """

    def __init__(self, labels: Iterable[str]) -> None:
        spelled: dict[str, dict[str, int]] = {}
        for label in labels:
            counts = spelled.setdefault(_plain(label), {})
            counts[label] = counts.get(label, 0) + 1
        best = {key: min(c, key=lambda s: (-c[s], s)) for key, c in spelled.items()}
        self.all = tuple(sorted(best.values()))
        self._spelling = best
        self._number = {name: number for number, name in enumerate(self.all)}

    def number(self, label: str) -> int:
        """Of a class, from 0."""
        return self._number[self.name(label)]

    def name(self, label: str) -> str:
        """The spelling that stands."""
        return self._spelling[_plain(label)]


def names_in(examples: Iterable[Example]) -> Names:
    """The classes of all examples."""
    return Names(label for example in examples for label in example.labels)


def _plain(label: str) -> str:
    return "".join(c for c in label.casefold() if c.isalnum()) or label


def _upright(box: Box) -> Box:
    x1, y1, x2, y2 = box
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def _has_area(box: Box) -> bool:
    return box[0] < box[2] and box[1] < box[3]

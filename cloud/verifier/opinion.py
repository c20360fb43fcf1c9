"""What a Vision API saw, in words that belong to none of them.

Every backend reads its vendor's answer into an `Opinion` and lets no vendor's type past itself:
APIs retire, and what was built on an opinion stays. Boxes are x1, y1, x2, y2, normalised 0..1
to the picture that was asked about; confidences are 0..1; names are as the vendor wrote them.
"""

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol, runtime_checkable

Box = tuple[float, float, float, float]
_ROUNDING: Final = 1e-3
"""A service that computes in single precision says 1.0000001, and means 1."""


class Want(StrEnum):
    """What can be asked about a picture. Each costs, so only what is wanted is asked."""

    LABELS = "labels"
    OBJECTS = "objects"
    PEOPLE = "people"
    FACES = "faces"
    IDENTITIES = "identities"
    TEXT = "text"
    CAPTION = "caption"
    DENSE_CAPTIONS = "dense_captions"
    CROPS = "crops"
    BRANDS = "brands"
    CATEGORIES = "categories"
    ADULT = "adult"
    COLOR = "color"


@dataclass(frozen=True, slots=True)
class Named:
    """A name for the whole picture."""

    name: str
    confidence: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "confidence", _checked(self.name, self.confidence))


@dataclass(frozen=True, slots=True)
class Seen:
    """Something at a place: an object, a person, a face, a line of text, a described region."""

    name: str
    confidence: float
    box: Box

    def __post_init__(self) -> None:
        object.__setattr__(self, "confidence", _checked(self.name, self.confidence))


@dataclass(frozen=True, slots=True)
class Opinion:
    """The answer to one question about one picture.

    Attributes:
        objects: Things with boxes: objects, people, faces, brands.
        labels: Names of the whole picture: tags, classes, categories.
        texts: Lines of text, `name` being what is written.
        regions: Described or proposed regions: dense captions, smart crops.
        caption: A sentence about the picture.
        traits: What has neither box nor certainty, such as colours.
        model: Name or version of the model that answered.
        units: What the service charged, in calls.
    """

    objects: tuple[Seen, ...] = ()
    labels: tuple[Named, ...] = ()
    texts: tuple[Seen, ...] = ()
    regions: tuple[Seen, ...] = ()
    caption: Named | None = None
    traits: dict[str, str] = field(default_factory=dict)
    model: str = ""
    units: int = 1


@dataclass(frozen=True, slots=True)
class Limits:
    """What a service takes; checked before it is called, because a refusal may be charged."""

    max_bytes: int
    min_px: int = 1
    max_px: int = 20_000


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG that was checked: its size, hash and dimensions are as stated."""

    jpeg: bytes
    sha256: str
    width: int
    height: int


class Backend(Protocol):
    """One Vision API at one address."""

    @property
    def name(self) -> str:
        """Which API and version, such as `ia40`; part of the cache's key."""

    @property
    def region(self) -> str:
        """Which deployment of it, for breakers and metrics."""

    @property
    def limits(self) -> Limits:
        """What it takes."""

    @property
    def offers(self) -> frozenset[Want]:
        """What it can be asked."""

    @property
    def recipe(self) -> str:
        """What else decides its answer: model, version, thresholds; part of the cache's key."""

    def look(self, picture: Picture, want: frozenset[Want], timeout_s: float) -> Opinion:
        """Ask once, without any retry.

        Raises:
            BackendBusy: it is worth asking again.
            BackendRefused: this picture never.
            BackendMisconfigured: no picture at all.
        """


@runtime_checkable
class Metered(Protocol):
    """A backend that makes more than one paid call a look."""

    def paid_calls(self, want: frozenset[Want]) -> int:
        """Paid calls that the next look makes at most."""


def calls_of(backend: Backend, want: frozenset[Want]) -> int:
    """Paid calls that a look costs at most; a budget is asked for so many."""
    return backend.paid_calls(want) if isinstance(backend, Metered) else 1


def box_of(
    left: float, top: float, width: float, height: float, *, of: tuple[float, float] = (1.0, 1.0)
) -> Box:
    """A box from a corner and an extent, in units of which the picture is `of` wide and high.

    What reaches beyond the border is cut off there.

    Raises:
        ValueError: it is no box, or one that is wholly outside the picture.
    """
    across, down = of
    return _within(left / across, top / down, (left + width) / across, (top + height) / down)


def box_around(points: list[tuple[float, float]], *, of: tuple[float, float]) -> Box:
    """The box around a polygon, as `box_of`."""
    across, down = of
    xs = [x / across for x, _ in points]
    ys = [y / down for _, y in points]
    if not all(map(math.isfinite, (*xs, *ys))):
        raise ValueError("a polygon of what is no number")  # `min` may pass over a NaN.
    return _within(min(xs), min(ys), max(xs), max(ys))


def _within(x1: float, y1: float, x2: float, y2: float) -> Box:
    # Cut to the picture, such a box would have no area and be left out: as if nothing were there.
    if not all(map(math.isfinite, (x1, y1, x2, y2))):
        raise ValueError("a box of what is no number")
    if x1 > x2 or y1 > y2 or x1 > 1 or y1 > 1 or x2 < 0 or y2 < 0:
        raise ValueError("a box outside the picture")
    return (_unit(x1), _unit(y1), _unit(x2), _unit(y2))


def _checked(name: object, confidence: float) -> float:
    """The confidence; raise ValueError for what no service may say: `http.reading` maps it."""
    if not isinstance(name, str) or not name:
        raise ValueError("a name is missing")
    if not -_ROUNDING <= confidence <= 1 + _ROUNDING:
        raise ValueError(f"a confidence of {confidence}")
    return _unit(confidence)


def _unit(value: float) -> float:
    return min(1.0, max(0.0, value))

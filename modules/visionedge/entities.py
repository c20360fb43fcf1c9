"""The words that all parts share: frame, prediction, decision, envelope, verdict.

Plain frozen, slotted dataclasses around numpy arrays: they are made and read on the hot
path, by several threads at once, so they are cheap to make and cannot change. Validation
belongs to the borders (`settings`, `wire`, the decode of a model), not here; only the
shapes that would break a reader far away are checked, because that costs nanoseconds.
"""

import enum
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""(H, W, 3) uint8, BGR as OpenCV gives it."""


def new_id() -> str:
    """A fresh id for an escalation or message: 32 hex digits, stable from birth to receipt."""
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Boxes of one frame, aligned arrays, best first.

    Attributes:
        xyxy: (n, 4) float32, pixels of the original frame, x1 y1 x2 y2, inside the frame.
        confidence: (n,) float32, 0..1.
        class_id: (n,) int32, index into `labels`.
        labels: names of all classes of the model.
    """

    xyxy: NDArray[np.float32]
    confidence: NDArray[np.float32]
    class_id: NDArray[np.int32]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        n = len(self.xyxy)
        if self.xyxy.shape != (n, 4) or len(self.confidence) != n or len(self.class_id) != n:
            raise ValueError(
                f"misaligned detections: xyxy {self.xyxy.shape}, "
                f"confidence {self.confidence.shape}, class_id {self.class_id.shape}"
            )

    def __len__(self) -> int:
        return len(self.xyxy)

    def label(self, index: int) -> str:
        """Name of the class of box `index`; its number where the model has no such label."""
        return label_of(self.labels, int(self.class_id[index]))


_NOWHERE = np.empty((0, 4), np.float32)
_NOWHERE.flags.writeable = False


@dataclass(frozen=True, slots=True, eq=False)
class Classification:
    """Classes of one frame.

    Attributes:
        confidence: (n,) float32, 0..1 for each class in the order of `labels`.
        labels: names of the classes.
        multilabel: True where each class is judged by itself (sigmoids), so that the
            confidences need not sum to one.
        hot: (k, 4) float32, pixels of the original frame, xyxy: where an anomaly model sees what
            it judged by, the hottest first; empty where the model does not tell.
    """

    confidence: NDArray[np.float32]
    labels: tuple[str, ...]
    multilabel: bool = False
    hot: NDArray[np.float32] = field(default_factory=lambda: _NOWHERE)

    def __len__(self) -> int:
        return len(self.confidence)

    def top(self, count: int) -> list[tuple[int, float]]:
        """The `count` best classes as (class_id, confidence), best first."""
        order = np.argsort(-self.confidence, kind="stable")[:count]
        return [(int(i), float(self.confidence[i])) for i in order]

    def label(self, class_id: int) -> str:
        """Name of class `class_id`; its number where the model has no such label."""
        return label_of(self.labels, class_id)


Prediction = Detections | Classification


def label_of(labels: tuple[str, ...], class_id: int) -> str:
    """The name of a class, or its number as text where there is no name for it."""
    return labels[class_id] if 0 <= class_id < len(labels) else str(class_id)


class ModelTag(Protocol):
    """Which model it was, as messages tell it."""

    @property
    def name(self) -> str:
        """As its card says."""

    @property
    def version(self) -> str:
        """As its card says."""

    @property
    def sha256(self) -> str | None:
        """Of its file."""


class FrameRequest(Protocol):
    """Somebody outside who sent a frame and waits for its answer.

    Answered once: the first word counts, later ones are ignored. Safe for all threads, and
    never waits.
    """

    def decided(
        self, frame: "Frame", prediction: Prediction, decision: "Decision", model: ModelTag
    ) -> None:
        """The frame was looked at."""

    def refused(self, code: str, reason: str) -> None:
        """It was not, and why: `code` for programs, `reason` for people."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of one camera.

    Attributes:
        image: (H, W, 3) uint8 BGR, read-only.
        camera_id: name of the camera in the settings.
        seq: number of the frame at its camera, counting those that were dropped.
        captured_at: UTC, for people and messages.
        captured_ns: monotonic clock, for latency and staleness.
        truth: what is really in the picture, where the source knows it (the virtual line,
            a labelled folder). For tests, training and evaluation; it never leaves the device.
        request: who waits for its answer; None for the frames of a camera.
    """

    image: Image
    camera_id: str
    seq: int
    captured_at: datetime
    captured_ns: int
    truth: Prediction | None = None
    request: FrameRequest | None = None

    @property
    def width(self) -> int:
        """Pixels."""
        return int(self.image.shape[1])

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.image.shape[0])


class Action(enum.StrEnum):
    """What becomes of a prediction."""

    ACCEPT = "accept"
    ESCALATE = "escalate"
    SUPPRESS = "suppress"


class Provisional(enum.StrEnum):
    """What holds for a doubtful frame until somebody answers."""

    BEST_GUESS = "best_guess"
    """The model's word is taken as it is."""
    REJECT = "reject"
    """The part is treated as bad."""
    HOLD = "hold"
    """The part is set aside for a person."""
    SECOND_MODEL = "second_model"
    """A second look on the device says what holds; the model's word until it has."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about, over all frames that show it.

    Attributes:
        id: the same for all frames of one question.
        reason: code of the rule that doubted this frame most.
        tracks: the objects that this frame would ask about; empty for the whole scene.
        view: how well this frame shows them; the best view is sent.
        value: what an answer is worth, 0..1; the doubt, and more for rare classes.
        due_ns: monotonic; no better view is waited for after it.
    """

    id: str
    reason: str
    tracks: frozenset[int]
    view: float
    value: float
    due_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class SecondOpinion:
    """What a second look on the device said of a doubtful frame.

    Attributes:
        by: name of the model that looked, or `flips`.
        agrees: it would take what the first look took.
        prediction: what it saw.
    """

    by: str
    agrees: bool
    prediction: Prediction


@dataclass(frozen=True, slots=True)
class Decision:
    """What the module decided on one prediction, at once and by itself.

    Attributes:
        action: accept, escalate, or suppress (doubtful, but not worth a message).
        reason: code of the rule that decided, such as `below_threshold`.
        score: the doubt, 0 (sure) to 1 (no idea); the value of asking grows with it.
        settings_revision: which settings decided.
        question: what an escalated frame asks; a suppressed one that has a question may be
            a better view for it.
        provisional: what holds until the answer; None where there is no doubt.
    """

    action: Action
    reason: str
    score: float
    settings_revision: int
    question: Question | None = None
    provisional: Provisional | None = None


class Kind(enum.StrEnum):
    """What an envelope carries; also the module output it leaves by."""

    ESCALATION = "escalation"
    TELEMETRY = "telemetry"
    HEALTH = "health"
    PREDICTIONS = "predictions"
    """The answer to a frame that another module sent: it goes at once or not at all, and is
    never in the spool."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message on its way up, the same bytes however often it is sent.

    Attributes:
        id: stable; the cloud removes duplicates by it.
        kind: decides the output, the share of the spool and whether a verdict is awaited.
        value: what losing it would cost, 0..1; the spool gives up the least first.
        created_at: UTC.
        expires_at: UTC; after it the message is worth nothing and is dropped.
        properties: application properties, ASCII, for routes; part of the size limit.
        body: what is sent.
        content_type: of the body.
        correlation_id: of the message that it answers; empty where it answers none.
    """

    id: str
    kind: Kind
    value: float
    created_at: datetime
    expires_at: datetime
    body: bytes
    properties: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    correlation_id: str = ""

    @property
    def size_bytes(self) -> int:
        """Body and properties, as the hub counts them."""
        return len(self.body) + sum(len(k) + len(v) for k, v in self.properties.items())


class Outcome(enum.StrEnum):
    """How an escalation ended."""

    CONFIRMED = "confirmed"
    """The second opinion saw what we saw."""
    CORRECTED = "corrected"
    """It saw the same things and named them otherwise."""
    REJECTED = "rejected"
    """It saw nothing where we saw something."""
    MISSED = "missed"
    """It saw something where we saw nothing."""
    EXPIRED = "expired"
    """Nobody answered in time; the local decision stands."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """The end of one escalation, merged once by its id.

    Attributes:
        escalation_id: of the envelope.
        outcome: one word for the whole frame.
        resolved_at: UTC.
        verifier: who said so; empty when expired.
        confirmed, corrected, rejected, missed: number of boxes (or classes) of each kind.
        agreement: each of them as its label and what became of it; of missed ones the
            verifier's label, of all others ours.
        judged: each claim as its label, how sure we were of it, and whether it was right.
    """

    escalation_id: str
    outcome: Outcome
    resolved_at: datetime
    verifier: str = ""
    confirmed: int = 0
    corrected: int = 0
    rejected: int = 0
    missed: int = 0
    agreement: tuple[tuple[str, Outcome], ...] = ()
    judged: tuple[tuple[str, float, bool], ...] = ()

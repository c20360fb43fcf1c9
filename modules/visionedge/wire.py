"""The messages that leave and enter the module, versioned, one pydantic model each.

A message names its own schema (`escalation/1`), so that a consumer can tell versions
apart without the topic. Fields may be added within a version; a change of meaning is a
new version. Everything is JSON in UTF-8, so that edgeHub and IoT Hub can route on it.

Boxes are `[x1, y1, x2, y2]` normalised 0..1 to the picture that was sent, the only one a
verifier can see; `image.crop` maps them back to the frame. Confidences are 0..1.

What comes in is limited in number and length here, and unknown fields are ignored:
a newer verifier may say more than we understand. What goes out has no unknown fields.

This file needs pydantic only: the cloud half imports it and nothing else of the module.
"""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from visionedge.refusals import reason

Unit = Annotated[float, Field(ge=0, le=1)]
Box = Annotated[tuple[Unit, Unit, Unit, Unit], Field(description="x1, y1, x2, y2, normalised 0..1")]
Label = Annotated[str, Field(max_length=256)]
Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]
Hex256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

MAX_OBJECTS: Final = 1000
MAX_MESSAGE_BYTES: Final = 240 * 1024
"""Body plus properties. IoT Hub takes 256 KiB and edgeHub adds its own properties to that."""


_MAX_LISTED: Final = 20
_MAX_PATH: Final = 200
"""Characters of the path of a bad field; names of fields may come from outside."""


class InvalidMessage(ValueError):
    """What came in is not what its schema says; `fields` names what is wrong, by path."""

    def __init__(self, fields: dict[str, str]) -> None:
        told = (f"{path}: {why}" if path else why for path, why in fields.items())
        super().__init__("; ".join(told))
        self.fields = fields


class Message(BaseModel):
    """Base of all messages: frozen, and tolerant of fields that a newer side may add.

    Numbers are finite: JSON has no other ones, and a consumer would find a null instead. Each is
    built when it is first used: a start waits for none that the first decision does not need.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, defer_build=True)

    def encode(self) -> bytes:
        """The message as compact JSON, UTF-8."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()

    @classmethod
    def read(cls, payload: Any) -> Self:  # noqa: ANN401 - whatever JSON gave
        """The message in parsed JSON.

        Raises:
            InvalidMessage: each bad field is named.
        """
        try:
            return cls.model_validate(payload)
        except ValidationError as error:
            listed = error.errors(include_url=False, include_input=False)
            raise InvalidMessage(
                {
                    ".".join(str(p) for p in item["loc"])[:_MAX_PATH]: reason(item, cls)
                    for item in listed[:_MAX_LISTED]
                }
            ) from None


class DetectedObject(Message):
    """One box."""

    class_id: int | None = Field(default=None, description="the model's own number, if it has one")
    label: Label
    confidence: Unit
    box: Box


class NamedClass(Message):
    """One class of the whole picture."""

    class_id: int | None = Field(default=None, description="the model's own number, if it has one")
    label: Label
    confidence: Unit


class PredictionBody(Message):
    """What the module thinks it saw."""

    task: Literal["detection", "classification"]
    detections: list[DetectedObject] = Field(default_factory=list, max_length=MAX_OBJECTS)
    classes: list[NamedClass] = Field(default_factory=list, max_length=MAX_OBJECTS)


class FrameBody(Message):
    """Which picture it was."""

    seq: int = Field(ge=0, description="number of the frame at its camera")
    captured_at: AwareDatetime
    width: int = Field(gt=0, description="pixels of the frame, before any crop")
    height: int = Field(gt=0, description="pixels of the frame, before any crop")


class ClassifierBody(Message):
    """Which classifier named the boxes of a cascade."""

    name: Label
    version: Label = ""
    sha256: Hex256 | None = None


class ModelBody(Message):
    """Which model saw it."""

    name: Label
    version: Label = ""
    sha256: Hex256 | None = None
    named_by: ClassifierBody | None = Field(
        default=None, description="what named its boxes, where it is the first of a cascade"
    )


class ImageBody(Message):
    """The picture that is sent: a part of the frame, perhaps smaller."""

    content_type: Literal["image/jpeg"] = "image/jpeg"
    width: int = Field(gt=0, description="pixels of the JPEG")
    height: int = Field(gt=0, description="pixels of the JPEG")
    crop: tuple[int, int, int, int] = Field(description="x1, y1, x2, y2 in pixels of the frame")
    quality: int = Field(ge=1, le=100, description="JPEG quality that fitted the byte budget")
    masked: int = Field(default=0, ge=0, description="number of areas that were redacted")
    sha256: Hex256 = Field(description="of the JPEG bytes")
    size_bytes: int = Field(gt=0, description="of the JPEG")
    data: str = Field(max_length=MAX_MESSAGE_BYTES, description="base64 of the JPEG")


class Escalation(Message):
    """`escalation/1`: a frame that the module doubts, with what it thinks of it."""

    schema_name: Literal["escalation/1"] = Field(default="escalation/1", alias="schema")
    id: Id
    created_at: AwareDatetime
    expires_at: AwareDatetime = Field(description="no verdict is of use after this")
    camera: Label
    frame: FrameBody
    model: ModelBody
    reason: Label = Field(description="code of the rule that doubted")
    score: Unit = Field(description="how much it doubted")
    provisional: Literal["best_guess", "reject", "hold", "second_model"] | None = Field(
        default=None, description="what holds on the line until the verdict"
    )
    second_look: "SecondLookBody | None" = Field(
        default=None, description="what a second look on the device said, if there was one"
    )
    settings_revision: int
    prediction: PredictionBody
    image: ImageBody

    model_config = ConfigDict(populate_by_name=True)


class SecondLookBody(Message):
    """What a second look on the device said."""

    by: Label = Field(description="name of the model that looked, or `flips`")
    agrees: bool = Field(description="it would take what the first look took")
    prediction: PredictionBody


class Verdict(Message):
    """`verdict/1`: what a verifier saw in the picture that was sent."""

    schema_name: Literal["verdict/1"] = Field(default="verdict/1", alias="schema")
    verdict_id: Id
    escalation_id: Id
    verified_at: AwareDatetime
    verifier: "VerifierBody"
    status: Literal["verified", "unverified"] = Field(
        default="verified", description="unverified: the verifier gave up; the local word stands"
    )
    detections: list[DetectedObject] = Field(default_factory=list, max_length=MAX_OBJECTS)
    classes: list[NamedClass] = Field(default_factory=list, max_length=MAX_OBJECTS)
    agreement: Literal["confirm", "correct", "reject", "unknown"] | None = Field(
        default=None, description="the verifier's word on the whole picture, for people"
    )
    reason: Label | None = Field(default=None, description="why it is `unverified`")
    caption: Annotated[str, Field(max_length=1024)] | None = None
    texts: list[Annotated[str, Field(max_length=1024)]] = Field(
        default_factory=list, max_length=100, description="lines that were read in the picture"
    )

    model_config = ConfigDict(populate_by_name=True)


class VerdictQuery(Message):
    """`verdict-query/1`: a module that was away asks what became of what it sent."""

    schema_name: Literal["verdict-query/1"] = Field(default="verdict-query/1", alias="schema")
    id: Id
    created_at: AwareDatetime
    escalation_ids: list[Id] = Field(
        min_length=1, max_length=256, description="sent, and without a verdict"
    )

    model_config = ConfigDict(populate_by_name=True)


class VerifierBody(Message):
    """Who answered."""

    name: Label
    version: Label = ""


class Verdicts(Message):
    """Payload of the direct method `applyVerdict`: one or many verdicts."""

    verdicts: list[Verdict] = Field(min_length=1, max_length=256)


class LatencyBody(Message):
    """Milliseconds from capture to decision in the window."""

    p50_ms: float
    p95_ms: float
    p99_ms: float


class CameraTelemetry(Message):
    """One camera in the window."""

    captured: int
    processed: int
    dropped: dict[str, int] = Field(description="count of frames not processed, by cause")
    accepted: int = Field(description="frames without a doubt")
    escalated: int = Field(
        description="frames that open a question; a second look, a better view or the budget may "
        "settle it before it is sent"
    )
    suppressed: int = Field(description="doubtful frames that open none")
    labels: dict[str, int] = Field(description="count of predicted objects, by label")
    reasons: dict[str, int] = Field(description="count of doubts, by reason")
    provisional: dict[str, int] = Field(
        default_factory=dict, description="count of doubtful frames, by what holds meanwhile"
    )
    second_looks: dict[str, int] = Field(
        default_factory=dict,
        description="count of second looks on the device: agreed, differed, failed, skipped",
    )
    latency: LatencyBody | None = None


class SpoolTelemetry(Message):
    """What waits on the device."""

    messages: int
    size_bytes: int
    unanswered: int = Field(description="escalations sent and not yet settled")
    lost: dict[str, int] = Field(description="messages given up since start, by cause")


class DriftBody(Message):
    """How far what a camera shows is from what it used to show."""

    state: Literal["normal", "breached", "learning", "off"]
    baseline: Literal["card", "learned", "learning", "off"] = Field(
        description="of the model's card, or learned from the camera's first frames"
    )
    classes: float | None = Field(
        default=None, description="population stability index of the class mix, last window"
    )
    confidence: float | None = Field(default=None, description="the same of the confidences")


class OutageBody(Message):
    """The loss ledger of an outage. `seen` is `kept` and all of `not_kept`; `before` and `kept`
    are `waiting`, `settled` and all of `lost`."""

    number: int = Field(description="counts up, over restarts")
    began_at: AwareDatetime
    ended_at: AwareDatetime | None = Field(default=None, description="absent while it lasts")
    lasted_s: float
    before: int = Field(description="escalations that waited when it began")
    seen: int = Field(description="questions that the module had")
    not_kept: dict[str, int] = Field(
        description="those that never reached the spool, by cause: over_budget, second_look, "
        "grew_sure, queue, redaction, snapshot, spool, stopped"
    )
    kept: int = Field(description="those that did")
    settled: int
    lost: dict[str, int] = Field(
        description="given up by the spool, by cause: evicted (bytes), expired (age), too_large, "
        "rejected"
    )
    waiting: int = Field(description="at its end, or now")
    drains_in_s: float | None = Field(
        default=None,
        description="seconds until nothing waits, at the rate of the last ten minutes; absent "
        "while the backlog does not shrink",
    )


class TrialTelemetry(Message):
    """A new bundle beside the active one, on the same frames, since its phase began."""

    phase: Literal["shadow", "canary", "guard"]
    share: Unit | None = Field(default=None, description="of frames that a canary answers")
    frames: int = Field(description="that were answered in this phase; by a canary, its own")
    errors: int = Field(description="frames on which the new bundle failed, in all phases")
    compared: int = Field(description="frames that both looked at")
    agreement: Unit | None = Field(
        default=None, description="of sure objects or classes, the share that both saw"
    )
    candidate_ms: float | None = Field(default=None, description="median of the new bundle")
    active_ms: float | None = Field(default=None, description="median of the active bundle")


class Telemetry(Message):
    """`telemetry/1`: what happened in one window of time."""

    schema_name: Literal["telemetry/1"] = Field(default="telemetry/1", alias="schema")
    id: Id
    window_start: AwareDatetime
    window_end: AwareDatetime
    settings_revision: int
    cameras: dict[str, CameraTelemetry]
    resolutions: dict[str, int] = Field(description="count of settled escalations, by outcome")
    agreement: dict[str, dict[str, int]] = Field(
        default_factory=dict,
        description="what verdicts said of each class, ever: label to outcome to count",
    )
    trials: dict[str, TrialTelemetry] = Field(
        default_factory=dict, description="new bundles on trial, by name in `models`"
    )
    spool: SpoolTelemetry
    link: Literal["online", "degraded", "offline", "draining"]
    outage: OutageBody | None = Field(
        default=None, description="the one that lasts, or the last one of the past day"
    )
    drift: dict[str, DriftBody] = Field(default_factory=dict, description="by camera")

    model_config = ConfigDict(populate_by_name=True)


class Health(Message):
    """`health/1`: one thing that was lost or came back."""

    schema_name: Literal["health/1"] = Field(default="health/1", alias="schema")
    id: Id
    at: AwareDatetime
    part: Label = Field(description="which part, such as `camera/line-1`")
    state: Label = Field(description="its new state, such as `lost` or `running`")
    detail: str = Field(default="", max_length=1024)

    model_config = ConfigDict(populate_by_name=True)


class DecisionBody(Message):
    """What the module decided on a frame."""

    action: Literal["accept", "escalate", "suppress"] = Field(
        description="escalate: a second opinion is asked for; suppress: doubtful, and not asked"
    )
    reason: Label = Field(description="code of the rule that decided")
    score: Unit = Field(description="the doubt; 0 is sure")
    provisional: Literal["best_guess", "reject", "hold", "second_model"] | None = Field(
        default=None, description="what holds for a doubtful frame until somebody answers"
    )
    settings_revision: int


class RefusedBody(Message):
    """Why a frame was not looked at."""

    code: Label = Field(description="for programs")
    reason: str = Field(max_length=1024, description="for people")


class FramePrediction(Message):
    """`prediction/1`: the answer to one JPEG on the input `frames`.

    Either `error`, or `frame`, `model`, `decision` and `prediction`. Its boxes are relative to
    the picture that was sent in, upright. The message's correlation id is that of the request,
    or the request's message id where it has none.
    """

    schema_name: Literal["prediction/1"] = Field(default="prediction/1", alias="schema")
    id: Id
    request_id: str = Field(max_length=128, description="message id of the request; may be empty")
    at: AwareDatetime
    camera: Label = Field(description="name in `cameras`; empty where there is none for it")
    frame: FrameBody | None = None
    model: ModelBody | None = None
    decision: DecisionBody | None = None
    prediction: PredictionBody | None = None
    error: RefusedBody | None = None

    model_config = ConfigDict(populate_by_name=True)


MESSAGES: Final[dict[str, type[Message]]] = {
    "escalation/1": Escalation,
    "verdict/1": Verdict,
    "verdict-query/1": VerdictQuery,
    "telemetry/1": Telemetry,
    "health/1": Health,
    "prediction/1": FramePrediction,
}

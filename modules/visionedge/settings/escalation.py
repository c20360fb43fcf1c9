"""What is asked, how often, at what price, and until when."""

from pydantic import Field

from visionedge.settings.archive import ArchiveSettings
from visionedge.settings.section import NEXT_START, YEAR_S, Moment, Section, Unit

_LIMIT = "; 0 is no limit."


class SnapshotSettings(Section):
    """How a doubtful frame is made small enough to send."""

    max_image_bytes: int = Field(
        180_000,
        ge=4_096,
        le=180_000,
        title="Most bytes",
        description="Of the JPEG; base64 and the message around it must stay under 240 KiB.",
    )
    max_side_px: int = Field(
        1280, ge=64, le=8192, title="Longest side", description="Larger pictures are scaled down."
    )
    quality: int = Field(
        85, ge=20, le=100, title="JPEG quality", description="Where the ladder begins."
    )
    crop: bool = Field(
        False, title="Crop", description="Send the doubtful boxes with a margin, not the frame."
    )


class RedactionSettings(Section):
    """What is made unrecognisable in every picture that leaves, besides a camera's masks."""

    face_model: str = Field(
        "",
        title="Face model",
        description="ONNX file of a YuNet face detector; every face it finds is coarsened, and "
        "where it fails the picture is not sent. Empty looks for no faces.",
    )
    face_confidence: Unit = Field(
        0.4, title="Face confidence", description="From here on it counts as a face."
    )
    hide: tuple[str, ...] = Field(
        (),
        max_length=100,
        title="Hide",
        description="Labels of the camera's own model, such as `person`, whose boxes are "
        "coarsened, sure or not.",
    )


class SecondLookSettings(Section):
    """A second look at doubtful frames on the device, before anybody is asked."""

    enabled: bool = Field(
        True,
        title="Enabled",
        description="Look again at each doubtful frame; also done, enabled or not, where the "
        "provisional verdict is second_model.",
    )
    settles: Unit = Field(
        0.15,
        title="Settles below",
        description="A doubt that is smaller than this after a second look that agrees is not "
        "asked; 0 asks all.",
    )
    confident_share: Unit = Field(
        0.02,
        title="Share of confident frames",
        description="Of the frames that no rule doubts so many are looked at again as well, and "
        "asked about where the looks differ: an error that is sure of itself; 0 is none.",
    )
    model: str = Field(
        "",
        max_length=64,
        pattern=r"^([A-Za-z0-9_-]+)?$",
        title="Model",
        description="Key in `models` of a larger model of the same kind; empty lets the camera's "
        "own model look at mirrored pictures.",
    )
    queue: int = Field(
        3,
        ge=1,
        le=64,
        title="Queue",
        description="Doubtful frames that may wait for it; the others go on with the first word.",
    )


class DriftSettings(Section):
    """Whether what a camera shows is still what it used to be."""

    enabled: bool = Field(True, title="Enabled", description="Compare, report, and sample more.")
    window_frames: int = Field(
        600,
        ge=50,
        le=10**6,
        title="Window",
        description="Frames that are compared at a time; one a second counts.",
    )
    learn_frames: int = Field(
        1800,
        ge=50,
        le=10**6,
        title="Learn from",
        description="First frames of a model whose card has no baseline; one a second counts.",
    )
    psi: float = Field(
        0.25,
        gt=0,
        le=10,
        title="Limit",
        description="Population stability index above which two windows in a row are a drift.",
    )
    control_factor: float = Field(
        5,
        ge=1,
        le=100,
        title="Control sample while drifted",
        description="So many times `control_per_hour`.",
    )


class BudgetSettings(Section):
    """What may be asked in a minute, an hour and a day: the most valuable doubt goes first."""

    frames_per_minute: int = Field(
        0, ge=0, le=10**6, title="Frames a minute", description="Escalations" + _LIMIT
    )
    frames_per_hour: int = Field(
        0, ge=0, le=10**7, title="Frames an hour", description="Escalations" + _LIMIT
    )
    frames_per_day: int = Field(
        0, ge=0, le=10**8, title="Frames a day", description="Escalations" + _LIMIT
    )
    bytes_per_minute: int = Field(
        0, ge=0, le=10**12, title="Bytes a minute", description="Of escalations" + _LIMIT
    )
    bytes_per_hour: int = Field(
        0, ge=0, le=10**13, title="Bytes an hour", description="Of escalations" + _LIMIT
    )
    bytes_per_day: int = Field(
        0, ge=0, le=10**14, title="Bytes a day", description="Of escalations" + _LIMIT
    )


class EscalationSettings(Section):
    """What is asked, how often, and until when."""

    enabled: bool = Field(True, title="Enabled", description="False decides and sends nothing.")
    min_interval_s: float = Field(
        1.0,
        ge=0,
        le=86_400,
        title="Least interval",
        description="Seconds between two escalations of a camera; doubts between are suppressed.",
    )
    one_per_object: bool = Field(
        True,
        title="One escalation an object",
        description="Follow objects from frame to frame and ask once about each; false asks "
        "about every doubtful frame.",
    )
    view_wait_s: float = Field(
        1.5,
        ge=0,
        le=60,
        title="Wait for a better view",
        description="Seconds after the first doubt; of the frames in them the best is sent. Of "
        "several cameras each waits longer than the one before, up to a quarter, so that not all "
        "ask at once.",
    )
    ask_again_s: float = Field(
        600,
        ge=0,
        le=YEAR_S,
        title="Ask again after",
        description="Seconds until the same object, or the same scene with the same "
        "prediction, may be asked about again.",
    )
    control_per_hour: float = Field(
        6,
        ge=0,
        le=3600,
        title="Control sample",
        description="Confident frames a camera sends in an hour, evenly over the classes, "
        "because an error that is sure of itself is found in no other way; 0 is none.",
    )
    paused_until: Moment | None = Field(
        None,
        alias="pausedUntil",
        title="Paused until",
        description="The cloud presses back, such as when its budget is spent: until then "
        "escalations are kept in the spool, and the local word stands. ISO 8601 with its zone, "
        "as 2026-11-21T18:00:00Z. A time in the past means nothing.",
    )
    max_pause_s: float = Field(
        86_400,
        ge=60,
        le=YEAR_S,
        title="Longest pause",
        description="Seconds for which one `pausedUntil` is obeyed, from when it was first seen.",
    )
    budget: BudgetSettings = Field(
        BudgetSettings(frames_per_minute=60), title="Budget", description="Of all cameras."
    )
    ttl_s: float = Field(
        7 * 86_400,
        gt=0,
        le=YEAR_S,
        title="Time to live",
        description="Seconds until an unanswered escalation expires.",
    )
    queue: int = Field(
        16,
        ge=1,
        le=256,
        title="Queue",
        description="Doubtful frames waiting to be encoded. Takes effect at the next start.",
        json_schema_extra=NEXT_START,
    )
    match_iou: Unit = Field(
        0.3,
        title="Matching overlap",
        description="A box of a verdict and one of ours are the same object from this IoU on.",
    )
    drift: DriftSettings = Field(
        DriftSettings.model_construct(),
        title="Drift",
        description="Against the baseline of each camera.",
    )
    second: SecondLookSettings = Field(
        SecondLookSettings.model_construct(),
        title="Second look",
        description="By a larger model, or mirrored.",
    )
    snapshot: SnapshotSettings = Field(
        SnapshotSettings.model_construct(), title="Snapshot", description="How the picture is made."
    )
    redaction: RedactionSettings = Field(
        RedactionSettings.model_construct(),
        title="Redaction",
        description="Faces and other private things.",
    )
    archive: ArchiveSettings = Field(
        ArchiveSettings.model_construct(),
        title="Archive",
        description="Settled escalations, to train from.",
    )

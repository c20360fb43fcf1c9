"""The tree of settings, from `Settings` at its foot to each field."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from visionedge.settings.cameras import CameraSettings, PatternCamera
from visionedge.settings.decision import DecisionSettings
from visionedge.settings.delivery import DeliverySettings
from visionedge.settings.direct import DirectSettings
from visionedge.settings.escalation import EscalationSettings
from visionedge.settings.section import NEXT_START, YEAR_S, Name, Section, Unit


class ThenSettings(Section):
    """The second model of a cascade: a classifier that says what each box of a detector is."""

    model: Name = Field(title="Model", description="Key of the classifier in `models`.")
    labels: tuple[Annotated[str, Field(max_length=256)], ...] = Field(
        (),
        max_length=1000,
        title="Labels",
        description="The detector's labels whose boxes are shown to it; empty is all.",
    )
    margin: float = Field(
        0.1,
        ge=0,
        le=2,
        title="Margin",
        description="Share of a box's sides that is cut out around it, on each side.",
    )
    max_boxes: int = Field(
        16,
        ge=1,
        le=300,
        title="Most boxes",
        description="Shown a frame, the surest first; the others keep what the detector said.",
    )
    batch: int = Field(
        8,
        ge=1,
        le=64,
        title="Boxes a run",
        description="Where the classifier's batch is free; else one.",
    )


class ModelSettings(Section):
    """Where a model is, and how it is run."""

    path: str = Field(
        min_length=1,
        title="Path",
        description="Bundle folder, ONNX file or Custom Vision export, absolute or relative to "
        "the module's working folder. Where there is a `uri`: what runs until that is proven.",
    )
    uri: str = Field(
        "",
        max_length=2048,
        pattern=r"^($|https?://.|file:///.|/.|\$\{)",
        title="Address",
        description="Where to fetch a bundle: https:// (a SAS address as well), http:// of "
        "another module, file:///PATH or /PATH of an ONNX file or zip. May hold `${env:NAME}` "
        "and `${file:/run/secrets/NAME}`. Empty fetches nothing.",
    )
    sha256: str = Field(
        "",
        pattern=r"^([0-9a-f]{64})?$",
        title="SHA-256",
        description="Of the file at `uri`, in hex; required with it.",
    )
    size_bytes: int = Field(
        0, ge=0, le=16 * 1024**3, title="Size", description="Of that file; 0 is not known."
    )
    signature: str = Field(
        "",
        max_length=128,
        title="Signature",
        description="Ed25519, base64, of the text `visionedge-model:` and the SHA-256 in hex.",
    )
    providers: tuple[str, ...] = Field(
        ("CPUExecutionProvider",),
        min_length=1,
        title="Execution providers",
        description="ONNX Runtime providers, best first; those not installed are passed over.",
    )
    intra_op_threads: int = Field(
        0,
        ge=0,
        le=64,
        title="Threads a run",
        description="0 is what `visionedge tune` found best on this device, else one, which with "
        "as many workers as cores is best for most models.",
    )
    spin: bool = Field(
        False,
        title="Spin",
        description="Threads of a run wait busily for each other: faster with two or more, and "
        "a core is busy while nothing happens. As tuned where `intra_op_threads` is 0.",
    )
    rewrite: bool = Field(
        True,
        title="Rewrite",
        description="Run a Focus (YOLOX, older YOLOv5) as one convolution, a hard swish of four "
        "steps (PicoDet) as two, and weights that the file lists as inputs (UltraFace, NanoDet, "
        "PicoDet) as constants: 10 to 60 % faster, on the processor only. What does not say the "
        "same as the file to noise, within 0.001, is not used. false runs the file as it is.",
    )
    floor: Unit = Field(
        0.1,
        title="Confidence floor",
        description="Boxes below it are noise: neither reported nor doubted.",
    )
    nms_iou: Unit = Field(
        0.45, title="NMS overlap", description="Of boxes that overlap more, the best one stays."
    )
    max_detections: int = Field(
        300, ge=1, le=1000, title="Most boxes", description="Boxes kept a frame, best first."
    )
    then: ThenSettings | None = Field(
        None,
        title="Then",
        description="A classifier that looks at the boxes of this detector; absent is none.",
    )

    @model_validator(mode="after")
    def _with_hash(self) -> Self:
        if self.uri and not self.sha256:
            raise ValueError("`uri` needs `sha256`: without it nobody knows what was fetched")
        return self


class InferenceSettings(Section):
    """How frames are worked on."""

    workers: int = Field(
        0,
        ge=0,
        le=64,
        title="Workers",
        description="Threads that run models; 0 is what `visionedge tune` found best on this "
        "device for the model of most cameras, else one a core. Takes effect at the next start.",
        json_schema_extra=NEXT_START,
    )


class SpoolSettings(Section):
    """The durable store of what waits to be sent or answered."""

    path: str = Field(
        "run/spool.db",
        min_length=1,
        title="Path",
        description="The file, in a folder that no other module uses; takes effect at the next "
        "start.",
        json_schema_extra=NEXT_START,
    )
    max_bytes: int = Field(
        512 * 1024**2,
        ge=1024**2,
        le=1024**4,
        title="Most bytes",
        description="Of all messages; the least valuable is given up first.",
    )
    max_age_s: float = Field(
        14 * 86_400,
        gt=0,
        le=YEAR_S,
        title="Most age",
        description="Seconds; older messages are given up.",
    )


class EgressSettings(Section):
    """The ledger of pictures that left the device. Takes effect at the next start."""

    path: str = Field(
        "run/egress.jsonl",
        min_length=1,
        title="Path",
        description="JSON lines; older ones are in PATH.1, PATH.2 and so on.",
    )
    max_bytes: int = Field(
        64 * 1024**2,
        ge=64 * 1024,
        le=1024**4,
        title="Most bytes",
        description="Of all its files; the oldest lines go first. A line has some 400 bytes.",
    )


class UplinkSettings(Section):
    """The way to the cloud. Where and how takes effect at the next start, the pace at once."""

    kind: Literal["auto", "azure", "local"] = Field(
        "auto",
        title="Kind",
        description="auto: IoT Edge where its environment is there, else local, which writes "
        "messages to a folder.",
        json_schema_extra=NEXT_START,
    )
    local_path: str = Field(
        "run/outbox",
        min_length=1,
        title="Local folder",
        description="Where `local` writes JSON lines.",
        json_schema_extra=NEXT_START,
    )
    window: int = Field(
        8, ge=1, le=256, title="Window", description="Most escalations sent and not yet answered."
    )
    answer_timeout_s: float = Field(
        120,
        gt=0,
        le=86_400,
        title="Answer timeout",
        description="Seconds until an unanswered escalation is sent again, with the same id.",
    )
    send_timeout_s: float = Field(
        30,
        gt=0,
        le=300,
        title="Send timeout",
        description="Seconds until a send counts as failed.",
        json_schema_extra=NEXT_START,
    )
    max_failed_rebuilds: int = Field(
        0,
        ge=0,
        le=1000,
        title="Most failed rebuilds",
        description="Then the module ends, so that edgeAgent restarts it; 0 is never. The "
        "container image sets 30, about two hours.",
        json_schema_extra=NEXT_START,
    )
    max_pause_s: float = Field(
        300,
        ge=1,
        le=3600,
        title="Longest pause",
        description="Seconds between two sessions at most. Pauses grow from 1 s while sessions "
        "fail, so this is how late the end of a long outage may be noticed.",
        json_schema_extra=NEXT_START,
    )


class TelemetrySettings(Section):
    """The small regular message."""

    interval_s: float = Field(
        60, ge=1, le=86_400, title="Interval", description="Seconds between two messages."
    )


class HttpSettings(Section):
    """/metrics and /healthz. Takes effect at the next start."""

    host: str = Field(
        "127.0.0.1",
        min_length=1,
        title="Address",
        description="Where to listen; the container image sets 0.0.0.0 for the metrics collector.",
    )
    port: int = Field(9600, ge=0, le=65535, title="Port", description="0 listens nowhere.")


class LogSettings(Section):
    """Log lines."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", title="Level", description="The least severe line that is written."
    )
    trace: str = Field(
        "",
        max_length=4096,
        title="Trace",
        description="File that gets a JSON line for each decision, without pictures, for "
        "`visionedge replay`; 256 MiB at most. Empty writes none. Set it at the start.",
        json_schema_extra=NEXT_START,
    )


class Settings(Section):
    """Everything that can be set."""

    cameras: dict[Name, CameraSettings] = Field(
        {"line-1": PatternCamera.model_construct()},
        max_length=64,
        title="Cameras",
        description="By name; null removes one.",
    )
    models: dict[Name, ModelSettings] = Field(
        {"default": ModelSettings.model_construct(path="models/pcb-defects")},
        max_length=64,
        title="Models",
        description="By name; null removes one.",
    )
    delivery: DeliverySettings = Field(
        DeliverySettings.model_construct(),
        title="Delivery",
        description="Models that the twin names.",
    )
    inference: InferenceSettings = Field(
        InferenceSettings.model_construct(),
        title="Inference",
        description="How frames are worked on.",
    )
    decision: DecisionSettings = Field(
        DecisionSettings.model_construct(),
        title="Decision",
        description="When a prediction is doubted.",
    )
    escalation: EscalationSettings = Field(
        EscalationSettings.model_construct(),
        title="Escalation",
        description="What is asked, and how.",
    )
    spool: SpoolSettings = Field(
        SpoolSettings.model_construct(), title="Spool", description="The durable store."
    )
    egress: EgressSettings = Field(
        EgressSettings.model_construct(),
        title="Egress",
        description="The ledger of pictures that left.",
        json_schema_extra=NEXT_START,
    )
    uplink: UplinkSettings = Field(
        UplinkSettings.model_construct(), title="Uplink", description="The way to the cloud."
    )
    direct: DirectSettings = Field(
        DirectSettings.model_construct(),
        title="Direct mode",
        description="A Vision API that the device asks by itself.",
        json_schema_extra=NEXT_START,
    )
    telemetry: TelemetrySettings = Field(
        TelemetrySettings.model_construct(),
        title="Telemetry",
        description="The small regular message.",
    )
    http: HttpSettings = Field(
        HttpSettings.model_construct(),
        title="HTTP",
        description="/metrics and /healthz; takes effect at the next start.",
        json_schema_extra=NEXT_START,
    )
    log: LogSettings = Field(LogSettings.model_construct(), title="Log", description="Log lines.")

    def decision_of(self, camera_id: str) -> DecisionSettings:
        """The camera's own rules of doubt, or those of all."""
        camera = self.cameras.get(camera_id)
        return self.decision if camera is None or camera.decision is None else camera.decision

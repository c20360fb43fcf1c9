"""One settings class a kind of camera; `kind` tells them apart."""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from visionedge.settings.decision import DecisionSettings
from visionedge.settings.escalation import BudgetSettings
from visionedge.settings.section import Name, Section, Unit

_Corners = tuple[tuple[Unit, Unit], ...]
_LEAST_AREA: Final = 1e-6
"""Of the frame: two pixels of 1080p."""


def _with_area(corners: _Corners) -> _Corners:
    """Corners on a line hold nothing: such a region would see nothing, such a mask hide nothing.

    Judged by a triangle of three corners, because in a polygon that crosses itself, as an 8 does,
    areas cancel each other.
    """
    x, y = corners[0]
    legs = [(other_x - x, other_y - y) for other_x, other_y in corners]
    far_x, far_y = max(legs, key=lambda leg: leg[0] ** 2 + leg[1] ** 2)
    if max(abs(far_x * leg_y - far_y * leg_x) for leg_x, leg_y in legs) / 2 < _LEAST_AREA:
        raise ValueError("has no area: give at least three corners that are not on one line")
    return corners


Polygon = Annotated[_Corners, Field(min_length=3, max_length=64), AfterValidator(_with_area)]
"""Corners as (x, y), normalised 0..1 to the frame; the last is joined to the first."""


_LEAST_TILE: Final = 64


def _worth_a_run(side_px: int) -> int:
    if 0 < side_px < _LEAST_TILE:
        raise ValueError(f"must be {_LEAST_TILE} or more, or 0 for the size of the model's input")
    return side_px


_Side = Annotated[int, Field(ge=0, le=8192), AfterValidator(_worth_a_run)]
_SIDE: Final = f"Of a tile, at least {_LEAST_TILE}; 0 is that of the model's input."


class TileSettings(Section):
    """How a big frame is cut, so that small things in it are seen."""

    width_px: _Side = Field(0, title="Width", description=_SIDE)
    height_px: _Side = Field(0, title="Height", description=_SIDE)
    overlap: float = Field(
        0.2,
        ge=0,
        le=0.9,
        title="Overlap",
        description="Share of a tile that the next one repeats; as much as the largest object.",
    )
    batch: int = Field(
        1,
        ge=1,
        le=64,
        title="Tiles a run",
        description="Where the model's batch is free; more than one pays on a GPU only.",
    )
    whole: bool = Field(
        False,
        title="Whole frame too",
        description="Look at the whole as well, for objects larger than a tile.",
    )


class MotionSettings(Section):
    """When a frame is worth looking at: something in it has changed."""

    level: int = Field(
        20,
        ge=1,
        le=254,
        title="Level",
        description="How much the brightness of a point must change, of 255; above the noise.",
    )
    share: float = Field(
        0.0002,
        ge=0,
        le=1,
        title="Share",
        description="Of the points of the frame that must have changed; smaller sees smaller "
        "things: 0.0002 is 20 by 20 pixels in 1080p. 0 is any point.",
    )
    at_least_every_s: float = Field(
        5,
        gt=0,
        le=3600,
        title="At least every",
        description="Seconds after which a frame is looked at in any case.",
    )


class _Camera(Section):
    """What every camera has."""

    model: Name = Field("default", title="Model", description="Key of the model in `models`.")
    max_fps: float = Field(
        0, ge=0, le=1000, title="Most frames a second", description="0 takes all the camera gives."
    )
    priority: int = Field(
        1,
        ge=1,
        le=10,
        title="Priority",
        description="Where there is more to look at than the device can, a camera of 2 gets "
        "twice the turns of one of 1.",
    )
    motion: MotionSettings | None = Field(
        None,
        title="Motion",
        description="Look only at frames in which something has changed, and count the others as "
        "`unchanged`. Absent looks at all.",
    )
    stale_after_s: float = Field(
        5,
        gt=0,
        le=86_400,
        title="Stale after",
        description="Seconds without a new frame until the camera counts as lost.",
    )
    expect_objects: bool = Field(
        False, title="Expect objects", description="Doubt a frame in which nothing is seen."
    )
    region: Polygon | None = Field(
        None,
        title="Region of interest",
        description="Polygon of [x, y], 0..1 of the frame: the model looks at its bounding "
        "rectangle, and boxes with their centre outside it are dropped. No mask.",
    )
    tiles: TileSettings | None = Field(
        None,
        title="Tiles",
        description="Look at the frame in tiles: for big frames and small defects. Detectors only.",
    )
    masks: tuple[Polygon, ...] = Field(
        (),
        max_length=32,
        title="Masks",
        description="Zones that are blacked out in every picture that leaves the device: "
        "polygons of [x, y], 0..1 of the frame.",
    )
    decision: DecisionSettings | None = Field(
        None,
        title="Decision",
        description="This camera's own rules of doubt, whole, in place of `decision`.",
    )
    budget: BudgetSettings = Field(
        BudgetSettings.model_construct(),
        title="Budget",
        description="Of this camera, below that of all.",
    )


class PatternCamera(_Camera):
    """The virtual line: rendered circuit boards on a conveyor, with ground truth."""

    kind: Literal["pattern"] = Field("pattern", title="Kind", description="The virtual line.")
    width_px: int = Field(1280, ge=160, le=7680, title="Width", description="Pixels.")
    height_px: int = Field(720, ge=120, le=4320, title="Height", description="Pixels.")
    fps: float = Field(30, ge=0.1, le=1000, title="Rate", description="Frames a second.")
    seed: int = Field(
        7, ge=0, le=2**32 - 1, title="Seed", description="The same seed gives the same frames."
    )
    defect_rate: float = Field(
        0.6, ge=0, le=20, title="Defect rate", description="Mean number of defects a board."
    )


class FileCamera(_Camera):
    """A video file, or a folder of pictures."""

    kind: Literal["file"] = Field(title="Kind", description="A video file or folder of pictures.")
    path: str = Field(
        min_length=1, title="Path", description="Video file, picture, or folder of pictures."
    )
    loop: bool = Field(True, title="Loop", description="Start again at the end.")
    realtime: bool = Field(
        True,
        title="Real time",
        description="Keep the file's own pace; false is as fast as frames are looked at, and none "
        "is left out.",
    )
    fps: float = Field(
        0, ge=0, le=1000, title="Rate", description="Frames a second; 0 is the file's own, or 10."
    )


class StreamCamera(_Camera):
    """A network camera: RTSP, or MJPEG and video over HTTP."""

    kind: Literal["stream"] = Field(title="Kind", description="A camera in the network.")
    url: str = Field(
        pattern=r"^((rtsps?|https?)://.|\$\{)",
        title="Address",
        description="rtsp://, rtsps://, http:// or https://. Never shown with its password, which "
        "may be given as `${env:NAME}` or `${file:/run/secrets/NAME}`, as may the whole. In user "
        "and password %40 is @, %2F is /, %3A is :, %3F is ? and %23 is #. RTSP goes over TCP, or "
        "over UDP where the camera refuses TCP.",
    )
    open_timeout_s: float = Field(
        10,
        gt=0,
        le=120,
        title="Open timeout",
        description="Seconds until an attempt to open fails.",
    )
    read_timeout_s: float = Field(
        5,
        gt=0,
        le=120,
        title="Read timeout",
        description="Seconds without a frame until reopening.",
    )


class UsbCamera(_Camera):
    """A camera of the device itself (V4L2)."""

    kind: Literal["usb"] = Field(title="Kind", description="A camera at this device.")
    device: str = Field(
        "/dev/video0", min_length=1, title="Device", description="Path of the video device."
    )
    width_px: int = Field(1280, ge=16, le=7680, title="Width", description="Wanted width.")
    height_px: int = Field(720, ge=16, le=4320, title="Height", description="Wanted height.")
    fps: float = Field(30, gt=0, le=1000, title="Rate", description="Wanted frames a second.")
    read_timeout_s: float = Field(
        5,
        gt=0,
        le=120,
        title="Read timeout",
        description="Seconds without a frame until reopening.",
    )


class InputCamera(_Camera):
    """Another module: JPEGs on the input `frames`, each answered on the output `predictions`."""

    kind: Literal["input"] = Field(
        title="Kind", description="Another module, by the input `frames`."
    )
    queue: int = Field(
        8,
        ge=1,
        le=64,
        title="Queue",
        description="Frames that may wait; the newest is looked at first, the oldest is refused.",
    )
    max_wait_s: float = Field(
        10,
        gt=0,
        le=300,
        title="Longest wait",
        description="Seconds until a frame that waits is refused.",
    )
    max_bytes: int = Field(
        256 * 1024,
        ge=1024,
        le=1024**2,
        title="Most bytes",
        description="Of a JPEG; edgeHub carries no more than 256 KiB.",
    )
    max_pixels: int = Field(
        12_000_000,
        ge=65_536,
        le=64_000_000,
        title="Most pixels",
        description="Width times height of a JPEG; more is refused before it is decoded.",
    )


SourceCamera = PatternCamera | FileCamera | StreamCamera | UsbCamera
"""Cameras that the module opens by itself."""
CameraSettings = Annotated[SourceCamera | InputCamera, Field(discriminator="kind")]


def is_same_source(one: CameraSettings, other: CameraSettings) -> bool:
    """True where two settings have their pictures from the same place, whatever is done to them."""
    unlike = {"open_timeout_s", "read_timeout_s", *_Camera.model_fields}
    return one.model_dump(exclude=unlike) == other.model_dump(exclude=unlike)

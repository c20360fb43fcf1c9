"""The card of a model: `model.json`, what must be known to read the model rightly.

Most field reports of "same model, other scores" come down to preprocessing that lived in
somebody's script. So it is written down beside the model, and what the card says wins
over anything that could be guessed (`describe`). A card may be short: `head` and `labels`
or a `labels.txt` beside it are enough. What a card leaves open is read from the model, by
its exporter's metadata and conventions; the defaults here are the last resort.

The names follow the field's own: `scale`, then `mean` and `std`, as in torchvision's
`Normalize`, applied to pixels of 0..255 in the order of `color`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from visionedge.errors import ModelCardError
from visionedge.inference.geometry import Fit
from visionedge.refusals import reason

CARD_NAME: Final = "model.json"
LABELS_NAME: Final = "labels.txt"
_MAX_BYTES: Final = 4 * 1024**2
"""Of a card or a list of labels; 20,000 labels of 200 letters fit."""

_LEVELS: Final = ("least", "threshold", "most")

Document = dict[str, Any]
Task = Literal["detection", "classification"]
Length = Annotated[float, Field(gt=0, le=8192)]
Side = Annotated[int, Field(ge=1, le=8192)]


class _Part(BaseModel):
    """Built when it is first validated by itself, as a `Section` of the settings is."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, defer_build=True)


class InputCard(_Part):
    """How a picture becomes the model's input."""

    width_px: Side | None = Field(
        None, title="Width", description="Pixels; needed only where the model leaves it free."
    )
    height_px: Side | None = Field(
        None, title="Height", description="Pixels; needed only where the model leaves it free."
    )
    layout: Literal["nchw", "nhwc"] | None = Field(
        None, title="Layout", description="Order of the dimensions; null is told by the shape."
    )
    fit: Fit = Field(
        "letterbox", title="Fit", description="How the picture is brought to the input's size."
    )
    resize_px: Side | None = Field(
        None,
        title="Resize before crop",
        description="With fit `crop`: the shorter side before the cut; null is the input's own.",
    )
    color: Literal["rgb", "bgr", "gray"] = Field(
        "rgb", title="Colour order", description="Order of the channels; gray is one channel."
    )
    scale: float = Field(
        1 / 255, gt=0, le=1, title="Scale", description="Pixels of 0..255 are multiplied by it."
    )
    mean: tuple[float, ...] = Field(
        (),
        max_length=3,
        title="Mean",
        description="Subtracted after scale; one, or a channel each.",
    )
    std: tuple[float, ...] = Field(
        (), max_length=3, title="Deviation", description="Divided by, after mean."
    )
    pad: int = Field(
        114, ge=0, le=255, title="Padding", description="Grey level around a letterboxed picture."
    )
    interpolation: Literal["nearest", "linear", "area", "cubic"] = Field(
        "linear",
        title="Interpolation",
        description="Of the resize. Linear is what most models were trained and tested with; "
        "area costs six times as much.",
    )

    @model_validator(mode="after")
    def _channels_match(self) -> "InputCard":
        channels = 1 if self.color == "gray" else 3
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (0, 1, channels):
                raise ValueError(f"{name} has {len(values)} numbers for {channels} channels")
        if any(value <= 0 for value in self.std):
            raise ValueError("std must be above 0")
        if self.resize_px is not None and self.fit != "crop":
            raise ValueError("resize_px goes with fit `crop` only")
        return self


class OutputCard(_Part):
    """How the model's output is read, beyond what the head says."""

    name: str | None = Field(
        None, title="Output", description="Which output; null picks the one whose shape fits."
    )
    activation: Literal["auto", "none", "softmax", "sigmoid"] = Field(
        "auto",
        title="Activation",
        description="Classifiers: what is still to be applied; auto finds out by a probe at load.",
    )
    multilabel: bool = Field(
        False, title="Multilabel", description="Classifiers: each class is judged by itself."
    )
    masks: int = Field(
        0,
        ge=0,
        le=1024,
        title="Mask coefficients",
        description="Segmentation: how many end each candidate; they are passed over.",
    )
    strides: tuple[Annotated[int, Field(ge=1, le=256)], ...] = Field(
        (8, 16, 32),
        min_length=1,
        max_length=8,
        title="Strides",
        description="Pixels a cell of each grid of a raw detector, the finest first.",
    )
    anchors: tuple[tuple[Length, Length], ...] = Field(
        (),
        max_length=64,
        title="Anchors",
        description="Width and height of each, grid by grid: pixels for YOLOv5, cells for YOLOv2; "
        "empty is the exporter's own.",
    )
    levels: tuple[float, ...] = Field(
        (),
        max_length=3,
        title="Levels",
        description="Anomaly models that do not give 0 to 1: the least score of training, the "
        "threshold, and the most; empty where the graph normalises.",
    )

    @field_validator("levels")
    @classmethod
    def _levels_rise(cls, levels: tuple[float, ...]) -> tuple[float, ...]:
        rising = len(levels) == len(_LEVELS) and levels[0] <= levels[1] <= levels[2] > levels[0]
        if levels and not rising:
            raise ValueError(f"{_LEVELS} are three numbers that rise")
        return levels


class BaselineCard(_Part):
    """How a model's predictions lie where all is well, to tell drift by."""

    frames: int = Field(ge=1, title="Frames", description="That it was taken from.")
    classes: dict[str, Annotated[int, Field(ge=0)]] = Field(
        max_length=256,
        title="Classes",
        description="In how many frames each class is taken; `(empty)` is none.",
    )
    confidence: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        min_length=10,
        max_length=10,
        title="Confidence",
        description="How many confidences lie in each tenth from 0 to 1.",
    )


class ModelCard(_Part):
    """All that is known of a model; `model.json` of a bundle."""

    card: Literal["model-card/1"] = Field(
        "model-card/1", title="Format", description="Version of this format."
    )
    name: str = Field(min_length=1, max_length=256, title="Name", description="Of the model.")
    version: str = Field("", max_length=256, title="Version", description="Of the model.")
    task: Task = Field(title="Task", description="What it does; told by the head where absent.")
    head: str = Field(title="Head", description="Which decoder reads its outputs.")
    labels: tuple[Annotated[str, Field(max_length=256)], ...] = Field(
        (),
        max_length=65_536,
        title="Labels",
        description="Names of the classes by number; absent is labels.txt beside the card.",
    )
    input: InputCard = Field(
        InputCard.model_construct(), title="Input", description="Preprocessing."
    )
    output: OutputCard = Field(
        OutputCard.model_construct(), title="Output", description="Reading the outputs."
    )
    temperature: float = Field(
        1.0,
        gt=0,
        le=100,
        title="Temperature",
        description="Calibration: logits are divided by it, so above 1 makes the model humbler.",
    )
    release_early: bool = Field(
        False,
        strict=True,
        title="Release early",
        description="A run frees what lies between layers as soon as it was read, in place of "
        "keeping it for a later layer of the same shape: less memory for some models, and up to "
        "7 % slower for others where two run at once. `visionedge inspect` tells how much less.",
    )
    baseline: BaselineCard | None = Field(
        None,
        title="Baseline",
        description="Where all is well, to tell drift by; absent is learned on the device.",
    )
    sha256: str = Field(
        "",
        pattern=r"^([0-9a-f]{64})?$",
        title="SHA-256",
        description="Of model.onnx, not of weights beside it; checked on load where given.",
    )
    licence: str = Field("", title="Licence", description="Of the weights.")
    origin: str = Field("", title="Origin", description="Who made it, from what, and where.")

    @model_validator(mode="before")
    @classmethod
    def _task_of_head(cls, document: object) -> object:
        if isinstance(document, dict) and "task" not in document:
            task = _tasks().get(str(document.get("head")))
            return {**document, "task": task} if task else document
        return document

    @field_validator("head")
    @classmethod
    def _is_known(cls, head: str) -> str:
        if head not in _tasks():
            raise ValueError(f"`{head}` is none of {', '.join(_tasks())}")
        return head

    @model_validator(mode="after")
    def _fits_together(self) -> "ModelCard":
        if self.task != _tasks()[self.head]:
            raise ValueError(f"head {self.head} is for {_tasks()[self.head]}, not {self.task}")
        return self


def _tasks() -> Mapping[str, Task]:
    """What each head is for."""
    # Heads are built from cards, so they can be asked for only once both are there.
    from visionedge.inference.registry import TASKS

    return TASKS


def read_document(path: Path) -> Document:
    """A card file as JSON, before validation.

    Raises:
        ModelCardError: it cannot be read, or is no JSON object; mend the named file.
    """
    try:
        document = json.loads(_read_text(path))
    except (ValueError, RecursionError) as error:
        raise ModelCardError(f"{path} is not JSON: {error}", hint="check it with `jq .`") from None
    if not isinstance(document, dict):
        raise ModelCardError(f"{path} holds no JSON object", hint='begin it with "{"')
    return document


def read_labels(path: Path) -> tuple[str, ...]:
    """One label a line; blank lines at the end do not count.

    Raises:
        ModelCardError: it cannot be read, or holds no label.
    """
    labels = tuple(line.strip() for line in _read_text(path).rstrip().splitlines())
    if not labels:
        raise ModelCardError(f"{path} holds no label", hint="write one label a line")
    return labels


def validated(document: Mapping[str, Any], source: str) -> ModelCard:
    """The card that `document` describes.

    Args:
        document: as JSON gives it.
        source: the file that errors shall name.

    Raises:
        ModelCardError: with each bad field.
    """
    try:
        return ModelCard.model_validate(document)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'card'}: {reason(item, ModelCard)}"
            for item in error.errors(include_url=False, include_input=False)
        )
        raise ModelCardError(
            f"{source}: {faults}",
            hint="mend the named fields of the card, or the options that set them",
        ) from None


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ModelCardError(f"{path} is larger than {_MAX_BYTES} bytes", hint="shorten it")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ModelCardError(
            f"cannot read {path}: {error.strerror}", hint="check the path and its permissions"
        ) from None
    except UnicodeDecodeError:
        raise ModelCardError(f"{path} is not UTF-8", hint="save it as UTF-8") from None

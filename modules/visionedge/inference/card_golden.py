"""`golden/expected.json` of a bundle: what the model said about a few frames at home.

The frames are listed as `visionedge predict --json` prints them, so the file can be made
with that command and read by eye. The limits that the predictions were made with are part
of it: those of the settings are the operator's, and say nothing of the model.
"""

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from visionedge.errors import ModelCardError
from visionedge.inference.card import Task, read_document
from visionedge.refusals import reason

EXPECTED_NAME: Final = "expected.json"
Unit = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Tolerance(_Part):
    """How far another processor or execution provider may stray."""

    iou: Unit = Field(0.9, title="Overlap", description="Least IoU of a box with the expected one.")
    confidence: Unit = Field(
        0.05, title="Confidence", description="Largest difference of a confidence."
    )


class ExpectedClass(_Part):
    """One class of a picture."""

    class_id: int = Field(ge=0, title="Class", description="Number of the class.")
    label: str = Field("", title="Label", description="Its name, for readers.")
    confidence: Unit = Field(title="Confidence", description="0..1.")


class ExpectedBox(ExpectedClass):
    """One box of a picture."""

    box_xyxy: tuple[float, float, float, float] = Field(
        title="Box", description="x1, y1, x2, y2 in pixels of the picture."
    )


class ExpectedFrame(_Part):
    """One picture and what is expected of it."""

    image: str = Field(
        pattern=r"^[^/\\]+$", title="Picture", description="File name within the folder."
    )
    task: Task = Field(title="Task", description="Of the model.")
    detections: tuple[ExpectedBox, ...] = Field((), title="Boxes", description="Best first.")
    classes: tuple[ExpectedClass, ...] = Field((), title="Classes", description="Best first.")


class Golden(_Part):
    """The whole file."""

    golden: Literal["golden/1"] = Field("golden/1", title="Format", description="Version.")
    floor: Unit = Field(
        0.3,
        title="Floor",
        description="Boxes are listed from this confidence on; those within the tolerance of it "
        "may come and go.",
    )
    nms_iou: Unit = Field(
        0.45, title="NMS overlap", description="What the predictions were made with."
    )
    tolerance: Tolerance = Field(Tolerance(), title="Tolerance", description="Allowed differences.")
    frames: tuple[ExpectedFrame, ...] = Field(
        min_length=1, max_length=256, title="Frames", description="Pictures and predictions."
    )


def read_golden(folder: Path) -> Golden:
    """The expectations in a golden folder.

    Raises:
        ModelCardError: the file is missing or wrong; it names the fields.
    """
    path = folder / EXPECTED_NAME
    document: dict[str, Any] = read_document(path)
    try:
        return Golden.model_validate(document)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in item['loc'])}: {reason(item, Golden)}"
            for item in error.errors(include_url=False, include_input=False)
        )
        raise ModelCardError(f"{path}: {faults}", hint="mend the named fields") from None

"""How a model wants its pictures, where nobody wrote it down: metadata first, then convention.

The conventions come from the exporters' own code. Detectors bring theirs with their head.
Classifiers do not, so the program that wrote the file is asked: Caffe, Core ML and Custom
Vision feed OpenCV's raw pixels, 0 to 255 in BGR; PyTorch feeds RGB with the mean and
deviation of ImageNet (torchvision's transforms); TensorFlow feeds RGB, 0 to 1. Whether
the range is right can be probed, and is; the order of colours cannot.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from visionedge.inference.format import Fields, Format

RAW: Final[Fields] = {"scale": 1.0, "mean": (), "std": ()}
UNIT: Final[Fields] = {"scale": 1 / 255, "mean": (), "std": ()}
_IMAGENET: Final[Fields] = {
    "scale": 1 / 255,
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
}
_RANGES: Final[Mapping[str, Fields]] = {
    "NominalRange_0_255": RAW,
    "Normalized_0_1": UNIT,
    "Normalized_1_1": {"scale": 1 / 127.5, "mean": (1.0,), "std": ()},
}
_FORMATS: Final = {"bgr8": "bgr", "rgb8": "rgb", "gray8": "gray"}
_RAW_WRITERS: Final = ("onnx-caffe2", "onnxmltools", "coremltools", "winmltools")


def from_metadata(metadata: Mapping[str, str]) -> Iterator[tuple[str, Any, str]]:
    """Fields of the input card that ONNX image metadata tell: name, value, origin."""
    pixel_format = metadata.get("Image.BitmapPixelFormat", "")
    if color := _FORMATS.get(pixel_format.lower()):
        yield "color", color, f"metadata Image.BitmapPixelFormat = {pixel_format}"
    pixel_range = metadata.get("Image.NominalPixelRange", "")
    for name, value in _RANGES.get(pixel_range, {}).items():
        yield name, value, f"metadata Image.NominalPixelRange = {pixel_range}"


def from_format(known: Format) -> Iterator[tuple[str, Any, str]]:
    """Fields that go with a head: name, value, origin."""
    for name, value in known.input.items():
        yield name, value, f"convention of head {known.head}"


def from_exporter(
    producer: str, is_ultralytics: bool, is_planar: bool, channels: int
) -> Iterator[tuple[str, Any, str]]:
    """Fields of a classifier that the convention of its exporter tells: name, value, origin."""
    if channels == 1:
        fields: Fields = {"color": "gray", **UNIT}
        convention = "convention for one channel"
    elif is_ultralytics:
        fields = {"fit": "crop", "color": "rgb", **UNIT}
        convention = "convention of Ultralytics classifiers"
    elif producer.strip().lower() in _RAW_WRITERS:
        fields = {"color": "bgr", **RAW}
        convention = f"convention of models written by {producer.strip()}"
    elif not is_planar:
        fields = {"color": "rgb", **UNIT}
        convention = "convention of models with channels last (TensorFlow)"
    else:
        fields = {"color": "rgb", **_IMAGENET}
        convention = "convention of PyTorch classifiers (ImageNet mean and deviation)"
    for name, value in fields.items():
        yield name, value, convention

"""A larger ONNX model of your own: the verifier that needs no vendor and charges nothing.

It is the one file of the cloud half that uses the module's inference, and so has every head, card
and golden frame that the module has: a second reader of ONNX outputs would disagree with the first
one day. It therefore needs `visionedge[edge]` beside the verifier; all other backends do not, and
`registry.py` imports this file only when its kind is asked for.

A model is loaded and must answer a first frame before the worker takes anything. The session is
shared, each thread has its own buffers.
"""

import threading
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from verifier.errors import BackendRefused, SettingsRefused
from verifier.opinion import Limits, Named, Opinion, Picture, Seen, Want, box_of
from visionedge.entities import Classification, Detections, label_of
from visionedge.errors import ModelError, ModelRunError
from visionedge.inference.model import LoadedModel, load_model
from visionedge.inference.runner import Runner
from visionedge.settings import ModelSettings


def load(path: str, region: str) -> "LocalModel":
    """The backend of a bundle, ONNX file or export.

    Raises:
        SettingsRefused: it cannot be loaded; the module's own error says why.
    """
    try:
        model = load_model(Path(path), ModelSettings(path=path))
    except (ModelError, OSError) as error:
        raise SettingsRefused(f"backend.model: {error}") from None
    return LocalModel(model, region)


@dataclass(frozen=True, slots=True)
class LocalModel:
    """One loaded model."""

    model: LoadedModel
    region: str
    name: str = "onnx"
    limits: Limits = Limits(max_bytes=256 * 1024)
    offers: frozenset[Want] = frozenset({Want.OBJECTS, Want.LABELS})
    _mine: threading.local = field(default_factory=threading.local, repr=False)

    @property
    def recipe(self) -> str:
        """What else decides the answer."""
        file = self.model.bundle.model
        return f"{file} {file.stat().st_mtime_ns}"

    def look(self, picture: Picture, want: frozenset[Want], timeout_s: float) -> Opinion:
        """Ask once. The time is not looked at: a run takes what it takes, and holds no service."""
        image = cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise BackendRefused("the picture cannot be decoded")
        try:
            found = self._runner().infer(image.astype(np.uint8, copy=False))
        except ModelRunError as error:
            raise BackendRefused(str(error)) from None
        name = self.model.bundle.model.stem
        if isinstance(found, Detections):
            return Opinion(objects=_objects(found, picture), model=name, units=0)
        if isinstance(found, Classification):
            return Opinion(labels=_labels(found), model=name, units=0)
        raise BackendRefused(f"a {type(found).__name__} is no opinion")

    def _runner(self) -> Runner:
        runner: Runner | None = getattr(self._mine, "runner", None)
        if runner is None:
            runner = self._mine.runner = self.model.runner()
        return runner


def _objects(found: Detections, picture: Picture) -> tuple[Seen, ...]:
    size = (float(picture.width), float(picture.height))
    # A picture that is stored turned has other sides when decoded; no error of ours comes of it.
    boxes = np.clip(found.xyxy, 0, np.array(size * 2, np.float32))
    return tuple(
        Seen(
            found.label(index),
            min(1.0, float(found.confidence[index])),
            box_of(float(x1), float(y1), float(x2 - x1), float(y2 - y1), of=size),
        )
        for index, (x1, y1, x2, y2) in enumerate(boxes)
    )


def _labels(found: Classification) -> tuple[Named, ...]:
    return tuple(
        Named(label_of(found.labels, index), min(1.0, sure)) for index, sure in found.top(20)
    )

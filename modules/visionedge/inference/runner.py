"""One model in one thread: from a frame to a prediction, whole or by tiles, timed by stage.

The session is shared by all; the input buffer and the adapter are not, and live
here. A view cuts the frame before the model sees it, and puts the boxes back into the
pixels of the frame after, so that no head knows of regions or tiles. What follows in a
cascade sees the boxes of the frame, when all of that is done.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Classification, Detections, Image, Prediction
from visionedge.errors import ModelRunError
from visionedge.inference.boxes import Limits
from visionedge.inference.card import ModelCard
from visionedge.inference.image import InputWriter
from visionedge.inference.registry import build_adapter
from visionedge.inference.session import Session
from visionedge.inference.tensors import Outputs
from visionedge.inference.tiles import Tile, Tiling, cut, merge
from visionedge.inference.view import WHOLE, View


@dataclass(frozen=True, slots=True)
class Timings:
    """How long the stages of one frame took, seconds."""

    preprocess_s: float = 0.0
    run_s: float = 0.0
    decode_s: float = 0.0
    cascade_s: float = 0.0

    @property
    def total_s(self) -> float:
        """All stages."""
        return self.preprocess_s + self.run_s + self.decode_s + self.cascade_s

    def plus(self, other: "Timings") -> "Timings":
        """Both, one after the other."""
        return Timings(
            self.preprocess_s + other.preprocess_s,
            self.run_s + other.run_s,
            self.decode_s + other.decode_s,
            self.cascade_s + other.cascade_s,
        )


class Follows(Protocol):
    """What looks at the boxes of a frame once more; see `cascade`."""

    skipped: int
    spent_s: float

    def refine(self, image: Image, found: Detections) -> Detections:
        """The boxes, seen closely; raises ModelRunError."""

    def warm(self, image: Image) -> None:
        """Run once as for a frame with boxes; raises ModelRunError."""


class Runner:
    """Runs one model in one thread at a time, with buffers of its own.

    Args:
        session: of the model.
        card: of the model.
        limits: which boxes are kept.
        then: what follows in a cascade.
    """

    def __init__(
        self, session: Session, card: ModelCard, limits: Limits, then: Follows | None = None
    ) -> None:
        self._session = session
        self._card = card
        self._limits = limits
        self._adapter = build_adapter(card, session.signature, limits)
        specs = (*session.signature.inputs, *session.signature.outputs)
        self._then = then
        self._takes_batches = all(spec.shape and spec.shape[0] is None for spec in specs)
        self.timings = Timings()
        """Of the latest frame."""

    def infer(self, image: Image, view: View = WHOLE) -> Prediction:
        """What the model sees in a frame.

        Args:
            image: (H, W, 3) uint8 BGR, any size; not changed.
            view: what of it is looked at.

        Raises:
            ModelRunError: the model failed on this frame; the next one may be fine.
        """
        found = self._infer(image) if view is WHOLE else self._look(image, view)
        if self._then is None or not isinstance(found, Detections) or not len(found):
            return found
        refined = self._then.refine(image, found)
        self.timings = replace(self.timings, cascade_s=self._then.spent_s)
        return refined

    def warm(self, image: Image, view: View = WHOLE) -> None:
        """Touch all that a frame like this needs, what follows in a cascade as well.

        Raises:
            ModelRunError: the model failed on it.
        """
        self.infer(image, view)
        if self._then is not None:
            self._then.warm(image)

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the model."""
        return self._card.labels

    @property
    def skipped(self) -> int:
        """Boxes of the latest frame that were too many for what follows."""
        return self._then.skipped if self._then and self.timings.cascade_s else 0

    def infer_each(self, images: Sequence[Image], batch: int) -> list[Prediction]:
        """What the model sees in several pictures.

        Args:
            images: (H, W, 3) uint8 BGR, each of any size; not changed.
            batch: most pictures a run, where the model's batch is free; else it is one.

        Raises:
            ModelRunError: the model failed on one.
        """
        found: list[Prediction] = []
        spent = Timings()
        step = batch if self._takes_batches else 1
        for start in range(0, len(images), step):
            group = images[start : start + step]
            found += [self._infer(group[0])] if len(group) == 1 else self._infer_batch(group)
            spent = spent.plus(self.timings)
        self.timings = spent
        return found

    def _look(self, image: Image, view: View) -> Prediction:
        """A region, and tiles within it; boxes in pixels of the frame."""
        height, width = image.shape[:2]
        area = view.area(width, height)
        tiles = [area] if view.tiling is None else cut(area, self._sized(view.tiling))
        found = self.infer_each(
            [image[t.y1 : t.y2, t.x1 : t.x2] for t in tiles],
            view.tiling.batch if view.tiling else 1,
        )
        spent = self.timings
        began = time.perf_counter()
        boxes = [each for each in found if isinstance(each, Detections)]
        if len(boxes) != len(tiles):
            return _moved(found[0], tiles[0])
        merged = view.within(merge(boxes, tiles, area, self._limits), width, height)
        self.timings = spent.plus(Timings(decode_s=time.perf_counter() - began))
        return merged

    def _sized(self, tiling: Tiling) -> Tiling:
        """The tiling, with the size of the model's input where it names none."""
        if tiling.width and tiling.height:
            return tiling
        width, height = self._adapter_size()
        return replace(tiling, width=tiling.width or width, height=tiling.height or height)

    def _adapter_size(self) -> tuple[int, int]:
        """Width and height of the model's input, pixels."""
        return InputWriter(self._card.input, self._session.signature.picture).size

    def _infer_batch(self, images: Sequence[Image]) -> list[Prediction]:
        """Several pictures in one run."""
        began = time.perf_counter()
        geometries, copies = [], []
        for image in images:
            tensors, geometry = self._adapter.preprocess(image)
            geometries.append(geometry)
            # The adapter uses its buffer again for the next picture.
            copies.append({name: tensor.copy() for name, tensor in tensors.items()})
        stacked = {name: np.concatenate([each[name] for each in copies]) for name in copies[0]}
        ready = time.perf_counter()
        outputs = self._run_batch(stacked)
        ran = time.perf_counter()
        found = [
            self._adapter.decode([each[n : n + 1] for each in outputs], geometry)
            for n, geometry in enumerate(geometries)
        ]
        self.timings = Timings(ready - began, ran - ready, time.perf_counter() - ran)
        return found

    def _run_batch(self, stacked: Mapping[str, NDArray[Any]]) -> Outputs:
        try:
            return self._session.run(stacked)
        except ModelRunError as error:
            # A graph that was traced with one picture may still say that its batch is free.
            raise ModelRunError(
                str(error.args[0]),
                hint="if it takes one picture at a time, whatever its inputs say, set `batch` to "
                "1: in `tiles` of the camera, or in `then` of the first model",
            ) from error

    def _infer(self, image: Image) -> Prediction:
        began = time.perf_counter()
        inputs, geometry = self._adapter.preprocess(image)
        prepared = time.perf_counter()
        outputs = self._session.run(inputs)
        ran = time.perf_counter()
        prediction = self._adapter.decode(outputs, geometry)
        self.timings = Timings(prepared - began, ran - prepared, time.perf_counter() - ran)
        return prediction


def _moved(found: Prediction, tile: Tile) -> Prediction:
    """The judgement of a part of the frame, its hot boxes in pixels of the whole."""
    if not isinstance(found, Classification) or not len(found.hot):
        return found
    return replace(found, hot=found.hot + np.array([tile.x1, tile.y1] * 2, np.float32))

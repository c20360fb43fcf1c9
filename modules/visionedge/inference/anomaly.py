"""Anomaly models: a score, and a map of how odd each place is; read as normal or anomalous.

Outputs are `pred_score` `[1]` or `[1, 1]` and `anomaly_map` `[1, 1, H, W]`, both normalised in the
graph to 0..1 with their threshold at one half; `pred_label` and `pred_mask` are passed over,
because they follow from these. A model with the map alone is judged by its hottest cell.

anomalib 1 and `enable_normalization=False` give raw distances. What those mean only training
knows, and no guess is made: such a model is refused until its card says `output.levels`, the
least score, the threshold and the most (`min`, `image_threshold`, `max` of the `metadata.json`
that anomalib 1 writes). Then `(v - threshold) / (most - least) + 1/2` is what is read, as
anomalib 2 does it in the graph.

The prediction is a classification, because the question is whether the part is good: normal is
one less the score. Where the map reaches one half, its parts are given as `hot` boxes, so that
a person, and the picture of an escalation, can see what was judged. They are no detections:
they have no class and no confidence that anybody calibrated.
Source: open-edge-platform/anomalib 2, `models/components/base/export_mixin.py` and
`post_processing/post_processor.py` (PostProcessor._normalize).
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Classification
from visionedge.errors import ModelCardError, ModelRunError
from visionedge.inference.boxes import Floats, Limits
from visionedge.inference.calibration import soften_binary
from visionedge.inference.card import ModelCard
from visionedge.inference.format import Answer, Format, Told, is_unit
from visionedge.inference.geometry import Geometry
from visionedge.inference.head import Head, finite, is_number
from visionedge.inference.image import hot_regions
from visionedge.inference.tensors import Outputs, Signature

_SCORE, _MAP = "pred_score", "anomaly_map"
_LABELS: Final = ("normal", "anomalous")
_THRESHOLD: Final = 0.5
_SLACK: Final = 2e-3
_MOST_REGIONS: Final = 10
_HINT: Final = (
    'write a card with {"head": "anomaly", "output": {"levels": [LEAST, THRESHOLD, MOST]}}, the '
    "scores of training (`min`, `image_threshold`, `max` of anomalib 1's metadata.json); or export "
    "it by anomalib 2, which normalises in the graph"
)


class Anomaly(Head):
    """Classifier of two classes that shows where."""

    def __init__(self, card: ModelCard, signature: Signature, limits: Limits) -> None:
        super().__init__(card, signature, limits)
        names = [spec.name for spec in signature.outputs]
        self._score = names.index(_SCORE) if _SCORE in names else None
        maps = [i for i, spec in enumerate(signature.outputs) if is_number(spec, 4)]
        self._map = names.index(_MAP) if _MAP in names else next(iter(maps), None)
        if self._score is None and self._map is None:
            raise ModelCardError(
                f"the model has neither {_SCORE} nor {_MAP}: {signature}",
                hint="export it by anomalib 2, or name another `head`",
            )
        self._levels = card.output.levels
        self._check_labels(len(_LABELS))

    def decode(self, outputs: Outputs, geometry: Geometry) -> Classification:
        """See `ModelAdapter`."""
        heat = None if self._map is None else self._normal(self._array(outputs, self._map, 2))
        if heat is not None and not heat.size:
            raise self._wrong_shape(heat)
        score = self._probability(outputs, heat)
        softened = soften_binary(np.array([score], np.float32), self._card.temperature)[0]
        return Classification(
            np.array([1 - softened, softened], np.float32),
            self._card.labels or _LABELS,
            hot=self._hot(heat, geometry),
        )

    def _probability(self, outputs: Outputs, heat: Floats | None) -> float:
        if self._score is not None:
            score = float(self._normal(self._array(outputs, self._score, 0)))
        else:
            score = float(heat.max()) if heat is not None else 0.0
        if not -_SLACK <= score <= 1 + _SLACK:
            raise ModelRunError(f"an anomaly score of {score:g} is no probability", hint=_HINT)
        return min(max(score, 0.0), 1.0)

    def _normal(self, values: Floats) -> Floats:
        """Scores of 0 to 1 with the threshold at one half."""
        values = finite(values)
        if not self._levels:
            return values
        least, threshold, most = self._levels
        scaled: Floats = (values - np.float32(threshold)) / np.float32(most - least)
        return np.asarray(np.clip(scaled + np.float32(_THRESHOLD), 0, 1), np.float32)

    def _hot(self, heat: Floats | None, geometry: Geometry) -> Floats:
        if heat is None:
            return np.empty((0, 4), np.float32)
        boxes = hot_regions(heat, _THRESHOLD, _MOST_REGIONS)
        x, y = (
            side / cells for side, cells in zip(self._writer.size, heat.shape[::-1], strict=True)
        )
        return geometry.to_frame(boxes * np.array([x, y, x, y], np.float32))


def tell(answer: Answer) -> Told | None:
    """Outputs of these names; or one plane, more than a classifier's numbers.

    Raises:
        ModelCardError: it is one, and its scores have a range that only training knows.
    """
    planes = [array for array in answer.arrays().values() if _is_plane(array)]
    if answer.has(_SCORE, _MAP):
        why = f"outputs {_SCORE} and {_MAP}"
    elif len(answer.outputs) == 1 == len(planes):
        why = "one plane of values between 0 and 1"
    else:
        return None
    if any(np.isfinite(plane).all() and not is_unit(plane) for plane in planes):
        raise ModelCardError("its heat map is not normalised to 0..1", hint=_HINT)
    return Told(why)


def _is_plane(array: NDArray[Any]) -> bool:
    return array.ndim == 4 and array.shape[:2] == (1, 1) and min(array.shape[2:]) > 1


FORMAT: Final = Format(
    head="anomaly",
    task="classification",
    build=Anomaly,
    tell=tell,
    exporters="anomalib 2: PatchCore, PaDiM, EfficientAD and others",
    layout="`pred_score` `[1]`, `anomaly_map` `[1, 1, H, W]`",
    input={"fit": "stretch", "color": "rgb", "scale": 1 / 255},
    labels=_LABELS,
)

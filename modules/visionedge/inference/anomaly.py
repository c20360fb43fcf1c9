"""Anomaly models: a score, and a map of how odd each place is; read as normal or anomalous.

Outputs are `pred_score` `[1]` or `[1, 1]` and `anomaly_map` `[1, 1, H, W]`, both normalised in the
graph to 0..1 with their threshold at one half; `pred_label` and `pred_mask` are passed over,
because they follow from these. A model with the map alone is judged by its hottest cell.

The prediction is a classification, because the question is whether the part is good: normal is
one less the score. Where the map reaches one half, its parts are given as `hot` boxes, so that
a person, and the picture of an escalation, can see what was judged. They are no detections:
they have no class and no confidence that anybody calibrated.
Source: open-edge-platform/anomalib 2, `models/components/base/export_mixin.py` and
`data/dataclasses/torch` (InferenceBatch).
"""

from typing import Final

import numpy as np

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
        self._check_labels(len(_LABELS))

    def decode(self, outputs: Outputs, geometry: Geometry) -> Classification:
        """See `ModelAdapter`."""
        heat = None if self._map is None else finite(self._array(outputs, self._map, 2))
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
            score = float(finite(self._array(outputs, self._score, 0)))
        else:
            score = float(heat.max()) if heat is not None else 0.0
        if not -_SLACK <= score <= 1 + _SLACK:
            raise ModelRunError(
                f"an anomaly score of {score:g} is no probability",
                hint="export the model with its normalisation: anomalib 2 does so by default",
            )
        return min(max(score, 0.0), 1.0)

    def _hot(self, heat: Floats | None, geometry: Geometry) -> Floats:
        if heat is None:
            return np.empty((0, 4), np.float32)
        boxes = hot_regions(heat, _THRESHOLD, _MOST_REGIONS)
        x, y = (
            side / cells for side, cells in zip(self._writer.size, heat.shape[::-1], strict=True)
        )
        return geometry.to_frame(boxes * np.array([x, y, x, y], np.float32))


def tell(answer: Answer) -> Told | None:
    """Outputs of these names; or one plane of fractions, more than a classifier's numbers."""
    if answer.has(_SCORE, _MAP):
        return Told(f"outputs {_SCORE} and {_MAP}")
    arrays = list(answer.arrays().values())
    if len(answer.outputs) != 1 or len(arrays) != 1 or arrays[0].ndim != 4:
        return None
    one, channels, height, width = arrays[0].shape
    if (one, channels) != (1, 1) or min(height, width) == 1 or not is_unit(arrays[0]):
        return None
    return Told("one plane of values between 0 and 1")


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

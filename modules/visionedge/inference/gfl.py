"""NanoDet, NanoDet-Plus and PicoDet: class scores, and distances as distributions (GFL).

Each cell has C scores after their sigmoid, without objectness, and for each side of its
box a distribution over B bins (8 here): the distance is the mean of its softmax, in strides,
counted from the cell's centre to left, top, right and bottom. There are two layouts:

    for each stride `[1, n, C]` and `[1, n, 4 B]`   NanoDet (8, 16, 32), PicoDet (and 64)
    one table `[1, N, C + 4 B]`                    NanoDet-Plus (8, 16, 32, 64)

Outputs are told apart by their shapes, because names are numbers that change with every
export; of two alike, scores come first. A cell's centre lies at `(cell + 0.5) * stride - 0.5`,
that of NanoDet-Plus at `cell * stride`. The half pixel that is taken off is not in the training
code of NanoDet (`(cell + 0.5) * stride`), but in the ONNX decoders that people compare with; it
moves a box by half a pixel of the input.
Source: RangiLyu/nanodet, `nanodet/model/head/gfl_head.py` (get_bboxes_single) and
`nanodet_plus_head.py` (get_single_level_center_priors); hpc203/picodet-onnxruntime, `main.py`
(_make_grid). Li et al., "Generalized Focal Loss", 2020.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from visionedge.entities import Detections
from visionedge.errors import ModelCardError
from visionedge.inference.boxes import Floats, Limits, candidates
from visionedge.inference.calibration import softmax
from visionedge.inference.card import ModelCard
from visionedge.inference.format import Answer, Fields, Format, Told, is_unit
from visionedge.inference.geometry import Geometry
from visionedge.inference.grid import cells, whole_cells
from visionedge.inference.head import Head, finite
from visionedge.inference.tensors import Outputs, Signature

_BINS: Final = 8
"""`reg_max` of 7 and one more, in every published model."""
_DISTANCES: Final = 4 * _BINS
_STRIDES: Final = ((8, 16, 32), (8, 16, 32, 64))
_MOST: Final = 1e4


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the numbers are: outputs of scores and of distances, one of each a stride."""

    strides: tuple[int, ...]
    scores: tuple[int, ...]
    distances: tuple[int, ...]

    @property
    def is_table(self) -> bool:
        """True where one output holds all."""
        return self.scores == self.distances


class Gfl(Head):
    """Detector with scores and distributions of distances."""

    def __init__(self, card: ModelCard, signature: Signature, limits: Limits) -> None:
        super().__init__(card, signature, limits)
        size = self._writer.size
        layout = _layout([spec.shape for spec in signature.outputs], size)
        if layout is None:
            raise ModelCardError(
                f"the outputs are no scores and distances of grids: {signature}",
                hint="export the model with a fixed input size, or name another `head`",
            )
        self._layout = layout
        columns = signature.outputs[layout.scores[0]].shape[2]
        if columns is not None:
            self._check_labels(columns - _DISTANCES if layout.is_table else columns)
        grids = [cells(whole_cells(size, stride)) for stride in layout.strides]
        lengths = [np.full(len(g), s) for g, s in zip(grids, layout.strides, strict=True)]
        self._stride = np.concatenate(lengths).astype(np.float32)
        corner = np.concatenate(grids) * self._stride[:, None]
        half = np.float32(0 if layout.is_table else 1 / 2) * (self._stride[:, None] - 1)
        self._centre: Floats = (corner + half).astype(np.float32)

    def decode(self, outputs: Outputs, geometry: Geometry) -> Detections:
        """See `ModelAdapter`."""
        scores, distances = self._tables(outputs)
        chosen = candidates(scores.max(axis=1), self._limits, self._card.temperature)
        bins = np.clip(finite(distances[chosen]), -_MOST, _MOST).reshape(-1, 4, _BINS)
        sides = softmax(bins) @ np.arange(_BINS, dtype=np.float32)
        sides *= self._stride[chosen, None]
        centre = self._centre[chosen]
        xyxy = np.concatenate([centre - sides[:, :2], centre + sides[:, 2:]], axis=1)
        best = scores[chosen]
        classes = best.argmax(axis=1).astype(np.int32)
        return self._detections(xyxy, best.max(axis=1), classes, geometry)

    def _tables(self, outputs: Outputs) -> tuple[Floats, Floats]:
        """Scores (N, C) and distances (N, 4 B) of all cells."""
        if self._layout.is_table:
            table = self._array(outputs, self._layout.scores[0], 2)
            scores, distances = table[:, :-_DISTANCES], table[:, -_DISTANCES:]
        else:
            scores = self._joined(outputs, self._layout.scores)
            distances = self._joined(outputs, self._layout.distances)
        labels = len(self._card.labels)
        is_whole = len(scores) == len(distances) == len(self._stride)
        if not is_whole or distances.shape[1] != _DISTANCES or not scores.shape[1]:
            raise self._wrong_shape(scores)
        if labels and scores.shape[1] != labels:
            raise self._wrong_shape(scores)
        return scores, distances

    def _joined(self, outputs: Outputs, which: tuple[int, ...]) -> Floats:
        parts = [self._array(outputs, index, 2) for index in which]
        if len({part.shape[1] for part in parts}) != 1:
            raise self._wrong_shape(parts[0])
        return np.concatenate(parts)


def _layout(shapes: list[tuple[int | None, ...]], size: tuple[int, int]) -> _Layout | None:
    tables = [(i, s[1], s[2]) for i, s in enumerate(shapes) if len(s) == 3]
    for strides in _STRIDES:
        counts = [int(np.prod(whole_cells(size, stride))) for stride in strides]
        if len(tables) == len(shapes) == 1 and tables[0][1] == sum(counts):
            return _Layout(strides, (tables[0][0],), (tables[0][0],))
        levels = [[t for t in tables if t[1] == count] for count in counts]
        if len(tables) == 2 * len(strides) and all(len(level) == 2 for level in levels):
            pairs = [_pair(*level) for level in levels]
            scores, distances = zip(*pairs, strict=True)
            return _Layout(strides, scores, distances)
    return None


def _pair(
    one: tuple[int, int | None, int | None], other: tuple[int, int | None, int | None]
) -> tuple[int, int]:
    """Which of two outputs of a stride holds the scores, and which the distances."""
    is_reversed = one[2] == _DISTANCES and other[2] != _DISTANCES
    return (other[0], one[0]) if is_reversed else (one[0], other[0])


def tell(answer: Answer) -> Told | None:
    """Pairs of outputs over grids; or a table of scores followed by what are none."""
    arrays = list(answer.arrays().values())
    if len(arrays) != len(answer.outputs) or any(array.ndim != 3 for array in arrays):
        return None
    layout = _layout([array.shape for array in arrays], answer.size)
    if layout is None:
        return None
    scores, distances = arrays[layout.scores[0]][0], arrays[layout.distances[0]][0]
    if layout.is_table:
        scores, distances = scores[:, :-_DISTANCES], distances[:, -_DISTANCES:]
    if distances.shape[1] != _DISTANCES or not answer.agrees(scores.shape[1]):
        return None
    if not is_unit(scores) or (layout.is_table and is_unit(distances)):
        return None
    return Told(f"scores and distances over the cells of strides {layout.strides}")


def _classes(signature: Signature, _masks: int) -> int | None:
    columns = [spec.shape[2] for spec in signature.outputs if len(spec.shape) == 3]
    if len(columns) == 1:
        return None if columns[0] is None else columns[0] - _DISTANCES
    return next((c for c in columns if c != _DISTANCES), _DISTANCES)


_INPUT: Final[Fields] = {
    "fit": "letterbox_cut",
    "color": "bgr",
    "scale": 1.0,
    "mean": (103.53, 116.28, 123.675),
    "std": (57.375, 57.12, 58.395),
    "pad": 0,
}
FORMAT: Final = Format(
    head="gfl",
    task="detection",
    build=Gfl,
    tell=tell,
    exporters="NanoDet, NanoDet-Plus, PicoDet",
    layout="for each stride `[1, n, C]` and `[1, n, 32]`; or one `[1, N, C + 32]`",
    input=_INPUT,
    classes=_classes,
)

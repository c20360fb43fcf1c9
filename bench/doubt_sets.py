"""Labelled pictures for `bench.doubt`: what a model says of each, and whether that is wrong.

A picture is wrong by itself when anything that is taken from it is: a box where nothing is, a
wrong name, or a thing that is there and not taken. The virtual line gives one frame a board,
as `escalation.one_per_object` would.

The boards of DeepPCB as a whole are left out: the model of this project does not know such
pictures and is wrong about every one of them, so every order is the same.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.context import Context
from bench.report import Unavailable
from visionedge.cameras.scene import LineSpec, VirtualLine
from visionedge.entities import Classification, Detections, Image, Prediction
from visionedge.inference.image import read_image
from visionedge.inference.model import LoadedModel, load_model
from visionedge.settings import ModelSettings

_FLOOR: Final = 0.02
"""Boxes above it are kept, so that rules can be opened wide."""
_ACCEPT: Final = 0.5
_MATCH_IOU: Final = 0.3
_BOARDS: Final = 600
_SHARED: Final = Path("../shared")
_DEEPPCB: Final = _SHARED / "datasets/deeppcb"
_PATCH_MODEL: Final = _SHARED / "conformance/models/pcb_patch_cnn_fp32/model.onnx"
_PATCH_PX: Final = 64
_PATCH_LABELS: Final = ("normal", "open", "short", "mousebite", "spur", "copper", "pinhole")
_PATCH_CARD: Final = {
    "head": "classifier",
    "labels": list(_PATCH_LABELS),
    "input": {"color": "gray", "scale": 1 / 255, "mean": [0.5], "std": [0.5], "fit": "stretch"},
}


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One labelled picture, looked at.

    Attributes:
        prediction: boxes from the floor on, or classes.
        wrong: the local word, as the default settings take it, is not the truth.
        expects: something must be in such pictures.
    """

    prediction: Prediction
    wrong: bool
    expects: bool = False


def sets(context: Context) -> Mapping[str, Callable[[], list[Example]]]:
    """Every set by its name; calling one may raise `Unavailable`."""
    return {
        "virtual line": lambda: _virtual_line(context),
        "DeepPCB patches, patch CNN": lambda: _patches(context),
    }


def _detector() -> LoadedModel:
    path = Path("models/pcb-defects")
    return load_model(path, ModelSettings(path=str(path), floor=_FLOOR))


def _virtual_line(context: Context) -> list[Example]:
    spec = LineSpec(seed=4242)
    line, runner = VirtualLine(spec), _detector().runner()
    examples = []
    with context.progress("virtual line", _BOARDS) as advance:
        for board in range(_BOARDS):
            # So far the belt carries one board to the place of the next.
            index = round(board * spec.board_pitch_px / spec.belt_speed_px_s * spec.fps)
            prediction = runner.infer(line.render(index))
            truth = line.truth(index)
            assert isinstance(prediction, Detections)
            examples.append(Example(prediction, is_wrong(prediction, truth.xyxy, truth.class_id)))
            advance()
    return examples


def _patches(context: Context) -> list[Example]:
    if not _PATCH_MODEL.exists():
        raise Unavailable(f"{_PATCH_MODEL} is not there")
    settings = ModelSettings(path=str(_PATCH_MODEL))
    runner = load_model(_PATCH_MODEL, settings, _PATCH_CARD).runner()
    chance = np.random.default_rng(7)
    boards = _labelled_boards()
    examples = []
    with context.progress("DeepPCB patches", len(boards)) as advance:
        for picture, xyxy, class_id in boards:
            for patch, truth in _cut(picture, xyxy, class_id, chance):
                prediction = runner.infer(patch)
                assert isinstance(prediction, Classification)
                examples.append(Example(prediction, prediction.top(1)[0][0] != truth))
            advance()
    return examples


def _cut(
    picture: Image,
    xyxy: NDArray[np.float32],
    class_id: NDArray[np.int32],
    chance: np.random.Generator,
) -> list[tuple[Image, int]]:
    """A patch a defect, a little off its middle, and as many of sound copper."""
    height, width = picture.shape[:2]
    limit = np.array([width, height]) - _PATCH_PX
    patches = []
    for box, number in zip(xyxy, class_id, strict=True):
        middle = (box[:2] + box[2:]) / 2 + chance.uniform(-12, 12, 2)
        x, y = np.clip(middle - _PATCH_PX / 2, 0, limit).astype(int)
        patches.append((picture[y : y + _PATCH_PX, x : x + _PATCH_PX], int(number) + 1))
        x, y = chance.integers(0, limit)
        corner = np.array([x, y], dtype=np.float64)
        clear = (xyxy[:, 2:] < corner).any(axis=1) | (xyxy[:, :2] > corner + _PATCH_PX).any(axis=1)
        if clear.all():
            patches.append((picture[y : y + _PATCH_PX, x : x + _PATCH_PX], 0))
    return [(np.ascontiguousarray(patch), truth) for patch, truth in patches]


def _labelled_boards() -> list[tuple[Image, NDArray[np.float32], NDArray[np.int32]]]:
    if not _DEEPPCB.exists():
        raise Unavailable(f"{_DEEPPCB} is not there")
    boards = []
    for file in sorted(_DEEPPCB.glob("*.txt")):
        rows = np.loadtxt(file, ndmin=2, dtype=np.float32)
        picture = read_image(file.with_suffix(".jpg"))
        if picture is None:
            raise Unavailable(f"{file.with_suffix('.jpg')} cannot be read")
        boards.append((picture, rows[:, :4], rows[:, 4].astype(np.int32) - 1))
    return boards


def is_wrong(
    prediction: Detections, xyxy: NDArray[np.float32], class_id: NDArray[np.int32]
) -> bool:
    """True unless the boxes that are taken are exactly those that are there."""
    taken = prediction.confidence >= _ACCEPT
    ours, names = prediction.xyxy[taken], prediction.class_id[taken]
    if len(ours) != len(xyxy):
        return True
    free = list(range(len(xyxy)))
    for box, name in zip(ours, names, strict=True):
        match = next(
            (j for j in free if class_id[j] == name and _iou(box, xyxy[j]) >= _MATCH_IOU), None
        )
        if match is None:
            return True
        free.remove(match)
    return False


def _iou(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    shared = float(np.clip(high - low, 0, None).prod())
    union = float((one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod()) - shared
    return shared / union if union > 0 else 0.0

"""Labelled pictures for `bench.doubt`: what a model says of each, and whether that is wrong.

A picture is wrong by itself when anything that is taken from it is: a box where nothing is, a
wrong name, or a thing that is there and not taken. Each is looked at twice, as the module does
with what it doubts and with a share of the rest: as it is, and at mirror images.

The virtual line gives one frame a board, the one that shows it in the middle, as the best view
of `escalation.one_per_object` does; what lies nearer to the next board counts for that one. The
boards of DeepPCB carry six defects each and are cut into nine parts, so that a part has about
as many as a board of the line.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.context import Context
from bench.report import Unavailable
from visionedge.cameras.scene import LineSpec, VirtualLine
from visionedge.entities import Classification, Detections, Image, Prediction
from visionedge.escalation.novelty import NoveltyWatch
from visionedge.inference.image import read_image
from visionedge.inference.mirrored import mirrored_look
from visionedge.inference.model import LoadedModel, load_model
from visionedge.inference.runner import Runner
from visionedge.inference.view import WHOLE
from visionedge.settings import ModelSettings

_FLOOR: Final = 0.02
"""Boxes above it are kept, so that rules can be opened wide."""
_ACCEPT: Final = 0.5
_MATCH_IOU: Final = 0.3
_BOARDS: Final = 600
_LINE_SEED: Final = 4242
"""Rules and settings were tuned on other lines, 101 to 104; see docs/explanation/doubt.md."""
_PARTS: Final = 3
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
        second: what mirror images show as well.
        wrong: the local word, as the default settings take it, is not the truth.
        expects: something must be in such pictures.
        novelty: how unlike the picture is to those before it, 0..1.
    """

    prediction: Prediction
    second: Prediction
    wrong: bool
    expects: bool = False
    novelty: float = 0.0


def sets(context: Context) -> Mapping[str, Callable[[], list[Example]]]:
    """Every set by its name; calling one may raise `Unavailable`."""
    return {
        "virtual line": lambda: _virtual_line(context),
        "DeepPCB boards, pcb-defects": lambda: _boards(context),
        "DeepPCB patches, patch CNN": lambda: _patches(context),
    }


def _detector() -> LoadedModel:
    path = Path("models/pcb-defects")
    return load_model(path, ModelSettings(path=str(path), floor=_FLOOR))


def _virtual_line(context: Context) -> list[Example]:
    return line_examples(context, _detector().runner(), _LINE_SEED, _BOARDS)


def line_examples(context: Context, runner: Runner, seed: int, boards: int) -> list[Example]:
    """One frame of each of the first boards of a line."""
    spec = LineSpec(seed=seed)
    line, half = VirtualLine(spec), spec.board_pitch_px / 2
    examples, news = [], NoveltyWatch()
    with context.progress("virtual line", boards) as advance:
        for board in range(1, boards + 1):
            index, centre = _middle_frame(line, spec, board)
            image = line.render(index)
            first, second = _both(runner, image)
            window = (centre - half, -np.inf, centre + half, np.inf)
            truth = line.truth(index)
            mine = truth.defect_board_id == board
            example = _example(first, second, window, truth.xyxy[mine], truth.class_id[mine])
            examples.append(replace(example, novelty=news.of(image)))
            advance()
    return examples


def _middle_frame(line: VirtualLine, spec: LineSpec, board: int) -> tuple[int, float]:
    """The frame in which a board is nearest to the middle, and where its centre is then."""
    step_px = spec.belt_speed_px_s / spec.fps
    index = round(board * spec.board_pitch_px / step_px)
    for _ in range(3):
        centre = _centre(line, index, board)
        index = max(0, index + round((centre - spec.width_px / 2) / step_px))
    return index, _centre(line, index, board)


def _centre(line: VirtualLine, index: int, board: int) -> float:
    """Pixels from the left; boards that are not in view yet wait at the right border."""
    truth = line.truth(index)
    at = np.flatnonzero(truth.board_id == board)
    if not len(at):
        return 2.0 * line.spec.width_px if board > truth.board_id.max(initial=0) else 0.0
    return float(truth.boards[at[0], [0, 2]].mean())


def _both(runner: Runner, image: Image) -> tuple[Prediction, Prediction]:
    first = runner.infer(image)
    return first, mirrored_look(runner.infer, image, WHOLE, first)


def _example(
    first: Prediction,
    second: Prediction,
    window: tuple[float, float, float, float],
    xyxy: NDArray[np.float32],
    class_id: NDArray[np.int32],
) -> Example:
    """What is said of a part of a picture."""
    assert isinstance(first, Detections)
    assert isinstance(second, Detections)
    seen = _within(first, window)
    return Example(seen, _within(second, window), is_wrong(seen, xyxy, class_id))


def _within(boxes: Detections, window: tuple[float, float, float, float]) -> Detections:
    """Those whose centre lies in the window."""
    kept = _inside(boxes.xyxy, window)
    return Detections(boxes.xyxy[kept], boxes.confidence[kept], boxes.class_id[kept], boxes.labels)


def _inside(
    xyxy: NDArray[np.float32], window: tuple[float, float, float, float]
) -> NDArray[np.bool_]:
    centre = (xyxy[:, :2] + xyxy[:, 2:]) / 2
    inside = (centre >= window[:2]) & (centre < window[2:])
    return np.logical_and(inside[:, 0], inside[:, 1])


def _boards(context: Context) -> list[Example]:
    boards, runner = _labelled_boards(), _detector().runner()
    examples = []
    with context.progress("DeepPCB boards", len(boards)) as advance:
        for picture, xyxy, class_id in boards:
            first, second = _both(runner, picture)
            height, width = picture.shape[:2]
            xs, ys = (np.linspace(0, size, _PARTS + 1) for size in (width, height))
            for row in range(_PARTS):
                for column in range(_PARTS):
                    window = (xs[column], ys[row], xs[column + 1], ys[row + 1])
                    mine = _inside(xyxy, window)
                    examples.append(_example(first, second, window, xyxy[mine], class_id[mine]))
            advance()
    return examples


def _patches(context: Context) -> list[Example]:
    if not _PATCH_MODEL.exists():
        raise Unavailable(f"{_PATCH_MODEL} is not there")
    settings = ModelSettings(path=str(_PATCH_MODEL))
    runner = load_model(_PATCH_MODEL, settings, _PATCH_CARD).runner()
    chance = np.random.default_rng(7)
    boards = _labelled_boards()
    examples, news = [], NoveltyWatch()
    with context.progress("DeepPCB patches", len(boards)) as advance:
        for picture, xyxy, class_id in boards:
            for patch, truth in _cut(picture, xyxy, class_id, chance):
                prediction, second = _both(runner, patch)
                assert isinstance(prediction, Classification)
                wrong = prediction.top(1)[0][0] != truth
                examples.append(Example(prediction, second, wrong, novelty=news.of(patch)))
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

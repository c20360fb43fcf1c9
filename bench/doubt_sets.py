"""Labelled pictures for `bench.doubt`: what a model says of each, and whether that is wrong.

A picture is wrong by itself when anything that is taken from it is: a box where nothing is, a
wrong name, or a thing that is there and not taken. Each is looked at twice, as the module may do:
as it is, and at its mirror images.

The virtual line shows each board for some seconds, and the module judges every frame of it.
Here three of them stand for all: the one that shows the board in the middle, whose word is the
word on the board, and one half a second before and after it. What lies nearer to the next board
counts for that one. The boards of DeepPCB are stills; they carry six defects each and are cut
into nine parts, so that a part has about as many as a board of the line.
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
from visionedge.escalation.novelty import NoveltyWatch
from visionedge.inference.image import read_image
from visionedge.inference.mirrored import mirrored_look
from visionedge.inference.model import LoadedModel, load_model
from visionedge.inference.runner import Runner
from visionedge.inference.view import WHOLE
from visionedge.inference.view import View as Region
from visionedge.overlap import iou_of_two
from visionedge.settings import ModelSettings

FLOOR: Final = ModelSettings(path="-").floor
"""What the module hears by default."""
LEAST_FLOOR: Final = 0.02
"""Boxes of first looks are kept from here on, so that rules can be opened wide."""
_ACCEPT: Final = 0.5
_MATCH_IOU: Final = 0.3
BOARDS: Final = 600
LINE_SEED: Final = 4242
"""Settings were tuned on other lines, by `bench.doubt_tuning`."""
_APART_S: Final = 0.5
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
class View:
    """One frame, looked at twice.

    Attributes:
        first: boxes from `LEAST_FLOOR` on, or classes.
        second: what it shows together with its mirror images, each heard from `FLOOR` on.
    """

    first: Prediction
    second: Prediction


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One labelled thing.

    Attributes:
        views: the best one first; what is taken of it is the local word.
        wrong: the local word, as the default settings take it, is not the truth.
        expects: something must be in such pictures.
        novelty: how unlike the best view is to those before it, 0..1.
        frames: in how many a camera sees it.
    """

    views: tuple[View, ...]
    wrong: bool
    expects: bool = False
    novelty: float = 0.0
    frames: int = 1


def sets(context: Context) -> Mapping[str, Callable[[], list[Example]]]:
    """Every set by its name; calling one may raise `Unavailable`."""
    return {
        "virtual line": lambda: _virtual_line(context),
        "DeepPCB boards, pcb-defects": lambda: _boards(context),
        "DeepPCB patches, patch CNN": lambda: _patches(context),
    }


def detector() -> LoadedModel:
    """The bundle, heard from `LEAST_FLOOR` on."""
    path = Path("models/pcb-defects")
    return load_model(path, ModelSettings(path=str(path), floor=LEAST_FLOOR))


def _virtual_line(context: Context) -> list[Example]:
    return line_examples(context, detector().runner(), LINE_SEED, BOARDS)


def line_examples(context: Context, runner: Runner, seed: int, boards: int) -> list[Example]:
    """Three frames of each of the first boards of a line."""
    spec = LineSpec(seed=seed)
    line, half = VirtualLine(spec), spec.board_pitch_px / 2
    frames = round(spec.board_pitch_px / spec.belt_speed_px_s * spec.fps)
    apart = round(_APART_S * spec.fps)
    examples, news = [], NoveltyWatch()
    with context.progress(f"line {seed}", boards) as advance:
        for board in range(1, boards + 1):
            middle, centre = _middle_frame(line, spec, board)
            truth = line.truth(middle)
            mine = truth.defect_board_id == board
            views, novelty = [], 0.0
            for late in (0, -apart, apart):
                image = line.render(middle + late)
                at = centre - late * spec.belt_speed_px_s / spec.fps
                views.append(_part(_seen(runner, image), (at - half, -np.inf, at + half, np.inf)))
                novelty = novelty if late else news.of(image)
            wrong = _wrong(views[0], truth.xyxy[mine], truth.class_id[mine])
            examples.append(Example((*views,), wrong, novelty=novelty, frames=frames))
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


def _seen(runner: Runner, image: Image) -> View:
    """An image as it is, and together with its mirror images."""
    first = runner.infer(image)

    def look(turned: Image, region: Region) -> Prediction:
        return heard(runner.infer(turned, region), FLOOR)

    return View(first, mirrored_look(look, image, WHOLE, heard(first, FLOOR)))


def heard(prediction: Prediction, floor: float) -> Prediction:
    """Without the boxes that are weaker than `floor`; a classification as it is."""
    if not isinstance(prediction, Detections):
        return prediction
    return _kept(prediction, prediction.confidence >= floor)


def _part(view: View, window: tuple[float, float, float, float]) -> View:
    """What is said of a part of a picture."""
    assert isinstance(view.first, Detections)
    assert isinstance(view.second, Detections)
    return View(_within(view.first, window), _within(view.second, window))


def _wrong(view: View, xyxy: NDArray[np.float32], class_id: NDArray[np.int32]) -> bool:
    assert isinstance(view.first, Detections)
    return is_wrong(view.first, xyxy, class_id)


def _within(boxes: Detections, window: tuple[float, float, float, float]) -> Detections:
    """Those whose centre lies in the window."""
    return _kept(boxes, _inside(boxes.xyxy, window))


def _kept(boxes: Detections, kept: NDArray[np.bool_]) -> Detections:
    return Detections(boxes.xyxy[kept], boxes.confidence[kept], boxes.class_id[kept], boxes.labels)


def _inside(
    xyxy: NDArray[np.float32], window: tuple[float, float, float, float]
) -> NDArray[np.bool_]:
    centre = (xyxy[:, :2] + xyxy[:, 2:]) / 2
    inside = (centre >= window[:2]) & (centre < window[2:])
    return np.logical_and(inside[:, 0], inside[:, 1])


def _boards(context: Context) -> list[Example]:
    boards, runner = _labelled_boards(), detector().runner()
    examples = []
    with context.progress("DeepPCB boards", len(boards)) as advance:
        for picture, xyxy, class_id in boards:
            whole = _seen(runner, picture)
            height, width = picture.shape[:2]
            xs, ys = (np.linspace(0, size, _PARTS + 1) for size in (width, height))
            for row in range(_PARTS):
                for column in range(_PARTS):
                    window = (xs[column], ys[row], xs[column + 1], ys[row + 1])
                    mine = _inside(xyxy, window)
                    part = _part(whole, window)
                    examples.append(Example((part,), _wrong(part, xyxy[mine], class_id[mine])))
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
                view = _seen(runner, patch)
                assert isinstance(view.first, Classification)
                wrong = view.first.top(1)[0][0] != truth
                examples.append(Example((view,), wrong, novelty=news.of(patch)))
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
            (j for j in free if class_id[j] == name and iou_of_two(box, xyxy[j]) >= _MATCH_IOU),
            None,
        )
        if match is None:
            return True
        free.remove(match)
    return False

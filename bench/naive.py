"""The way of the tutorials, for comparison: what one writes first, and what most leave so.

A resize onto a padded canvas, a colour conversion, a division, a transpose, each into a
new array; a decode of every row, row by row in Python where the exporter's own example
does so (YOLOv8) and over whole arrays where it does so (YOLOX); and a greedy suppression
in a loop for each class. The result is the same as ours: a test holds both together.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.graphs.yolox_nano import STRIDES
from bench.report import Unavailable
from visionedge.entities import Image
from visionedge.inference.boxes import Limits
from visionedge.inference.card import InputCard, ModelCard

Floats = NDArray[np.float32]
Run = Callable[[NDArray[Any]], Floats]
"""The bare run of a session: a tensor in, its first output out."""
Found = list[tuple[int, float, Floats]]
"""Class, confidence and box (x1 y1 x2 y2 in pixels of the frame, or empty), best first."""


def naive(
    run: Run, card: ModelCard, size: tuple[int, int], limits: Limits
) -> Callable[[Image], Found]:
    """One model the tutorials' way, from a frame to what is seen in it.

    Args:
        run: of its session.
        card: what is to be done to a picture.
        size: width and height of the input.
        limits: which boxes are kept.
    """

    def classify(image: Image) -> Found:
        return _classes(run(to_tensor(_stretched(image, size), card.input)))

    def detect(image: Image) -> Found:
        picture, scale, left, top = _letterbox(image, size, card.input)
        output = run(to_tensor(picture, card.input))
        rows = _READERS[card.head](output, size, limits.floor)
        return _in_frame(_suppress(rows, limits), image, scale, left, top)

    return classify if card.task == "classification" else detect


def to_tensor(picture: Image, card: InputCard) -> Floats:
    """A picture of the right size as `[1, 3, H, W]` float32."""
    if card.color == "rgb":
        picture = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
    tensor: Floats = picture.astype(np.float32)
    if card.scale != 1:
        tensor = tensor / np.float32(255)
    if card.mean:
        tensor -= np.array(card.mean, np.float32)
        tensor /= np.array(card.std, np.float32)
    return np.ascontiguousarray(np.expand_dims(tensor.transpose(2, 0, 1), 0))


def _letterbox(
    image: Image, size: tuple[int, int], card: InputCard
) -> tuple[Image, float, int, int]:
    height, width = image.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    centred = card.fit == "letterbox"
    whole = round if centred else int
    new_width, new_height = whole(width * scale), whole(height * scale)
    left = (size[0] - new_width) // 2 if centred else 0
    top = (size[1] - new_height) // 2 if centred else 0
    canvas = np.full((size[1], size[0], 3), card.pad, np.uint8)
    canvas[top : top + new_height, left : left + new_width] = cv2.resize(
        image, (new_width, new_height), interpolation=cv2.INTER_LINEAR
    )
    return canvas, scale, left, top


def _stretched(image: Image, size: tuple[int, int]) -> Image:
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def _yolox_rows(output: Floats, input_size: tuple[int, int], floor: float) -> Found:
    cells, strides = [], []
    for stride in STRIDES:
        x, y = np.meshgrid(*(np.arange(side // stride) for side in input_size))
        cells.append(np.stack((x, y), 2).reshape(-1, 2))
        strides.append(np.full((x.size, 1), stride))
    cell, stride_of = np.concatenate(cells), np.concatenate(strides)
    table = output[0]
    centre = (table[:, :2] + cell) * stride_of
    size = np.exp(table[:, 2:4]) * stride_of
    boxes = np.concatenate([centre - size / 2, centre + size / 2], axis=1).astype(np.float32)
    scores = table[:, 4:5] * table[:, 5:]
    class_id, best = scores.argmax(axis=1), scores.max(axis=1)
    kept = best >= floor
    rows = zip(class_id[kept], best[kept], boxes[kept], strict=True)
    return [(int(c), float(score), box) for c, score, box in rows]


def _yolo_v8_rows(output: Floats, _: tuple[int, int], floor: float) -> Found:
    rows: Found = []
    table = output[0].T
    for number in range(table.shape[0]):
        scores = table[number][4:]
        class_id = int(np.argmax(scores))
        score = float(scores[class_id])
        if score >= floor:
            x, y, width, height = table[number][:4]
            box = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
            rows.append((class_id, score, box.astype(np.float32)))
    return rows


def _suppress(rows: Found, limits: Limits) -> Found:
    kept: Found = []
    for wanted in sorted({class_id for class_id, _, _ in rows}):
        rest = sorted((r for r in rows if r[0] == wanted), key=lambda r: -r[1])
        while rest:
            best = rest.pop(0)
            kept.append(best)
            rest = [row for row in rest if _iou(best[2], row[2]) <= limits.nms_iou]
    return sorted(kept, key=lambda row: -row[1])[: limits.max_detections]


def _iou(a: Floats, b: Floats) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    inner = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inner
    return float(inner / union)


def _in_frame(rows: Found, image: Image, scale: float, left: int, top: int) -> Found:
    height, width = image.shape[:2]
    found: Found = []
    for class_id, score, box in rows:
        box = (box - np.array([left, top, left, top])) / scale
        box = np.clip(box, 0, [width, height, width, height]).astype(np.float32)
        if box[2] > box[0] and box[3] > box[1]:
            found.append((class_id, score, box))
    return found


def _classes(output: Floats) -> Found:
    logits = output.reshape(-1)
    exponents = np.exp(logits - logits.max())
    scores = exponents / exponents.sum()
    order = np.argsort(scores)[::-1][:5]
    return [(int(number), float(scores[number]), np.zeros(0, np.float32)) for number in order]


_READERS: Final[Mapping[str, Callable[[Floats, tuple[int, int], float], Found]]] = {
    "yolox": _yolox_rows,
    "yolo_v8": _yolo_v8_rows,
}
"""Output, size of the input and least confidence to candidates, by head."""


def reader_of(clip: Path) -> Callable[[], Image]:
    """Reads a file frame by frame the tutorials' way, again and again."""
    capture = cv2.VideoCapture(str(clip))

    def read() -> Image:
        ok, image = capture.read()
        if not ok:
            capture.open(str(clip))
            ok, image = capture.read()
        if not ok:
            raise Unavailable(f"{clip} cannot be read")
        return np.asarray(image, np.uint8)

    return read

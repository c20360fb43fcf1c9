"""`python -m training.measure BUNDLE`: how well a bundle finds defects, with the product's runtime.

Held-out virtual lines, as the product shows them (`natural`) or with many defects a board
(`crowded`); scans of held-out `etched` boards; and, with `--boards`, pictures of real boards in
the layout of the DeepPCB set (arXiv:1902.06197: NAME.jpg beside NAME.txt, `x1 y1 x2 y2 type`,
types 1 to 6 in the order of `DEFECT_LABELS`). Real boards are measured on and never learned from.

Runs without PyTorch. The figures are of average precision at IoU 0.5, and precision and recall
at one threshold of confidence.
"""

import argparse
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from training.calibrate import reliability
from training.etched import etched_board
from training.lines import Sample, Split, crowded_line, frames_of, natural_line
from training.runtime import Detector
from visionedge.cameras.defects import DEFECT_LABELS
from visionedge.cameras.scene import LineSpec
from visionedge.evaluation.average_precision import (
    Boxes,
    ClassScore,
    match_class,
    mean_average_precision,
    pooled,
    score_class,
)

STYLES: Final[Mapping[str, Callable[[int], Iterator[Sample]]]] = {
    "natural": lambda frames: held_out(natural_line, frames),
    "crowded": lambda frames: held_out(crowded_line, frames),
    "etched": lambda frames: map(etched_board, range(Split.MEASURE, Split.MEASURE + frames)),
}
_BANDS: Final = (0.1, 0.3, 0.5, 0.7, 0.9, 1.01)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m training.measure", description=__doc__)
    parser.add_argument("bundle", type=Path, help="folder of the bundle")
    parser.add_argument("--frames", type=int, default=300, help="held-out frames")
    parser.add_argument("--style", choices=sorted(STYLES), default="natural", help="see above")
    parser.add_argument("--boards", type=Path, help="folder of real boards, instead of a line")
    parser.add_argument("--threshold", type=float, default=0.5, help="of precision and recall")
    parser.add_argument("--iou", type=float, default=0.5, help="overlap that makes a box right")
    arguments = parser.parse_args()
    if arguments.boards:
        samples = real_boards(arguments.boards)
    else:
        samples = STYLES[arguments.style](arguments.frames)
    measure(arguments.bundle, samples, arguments.threshold, arguments.iou)


def measure(
    bundle: Path, samples: Iterable[Sample], threshold: float = 0.5, iou: float = 0.5
) -> float:
    """Print precision, recall and average precision of each class; return their mean (mAP)."""
    detector = Detector(bundle)
    truths, found, spent_s = [], [], 0.0
    for sample in samples:
        begun = time.perf_counter()
        found.append(detector.find(sample.image))
        spent_s += time.perf_counter() - begun
        truths.append(Boxes.true(sample.xyxy, sample.class_id))
    matches = [match_class(c, truths, found, iou) for c in range(len(DEFECT_LABELS))]
    scores = [score_class(m, threshold) for m in matches]
    mean = mean_average_precision(scores)
    _print_scores(scores, replace(score_class(pooled(matches), threshold), average_precision=mean))
    print(f"{len(truths)} frames, {1000 * spent_s / max(1, len(truths)):.1f} ms each, one thread")
    for claimed, right, count in reliability(truths, found, _BANDS):
        print(f"confidence {claimed:.2f}: {right:.2f} right of {count}")
    return mean


def _print_scores(scores: list[ClassScore], all_of_them: ClassScore) -> None:
    print(f"{'class':16} {'true':>5} {'AP':>6} {'precision':>9} {'recall':>6}")
    for label, score in zip((*DEFECT_LABELS, "all"), (*scores, all_of_them), strict=True):
        print(f"{label:16} {score.truth_count:5} {score.average_precision:6.3f} "
              f"{score.precision:9.3f} {score.recall:6.3f}")  # fmt: skip


def held_out(line: Callable[[int], LineSpec], frames: int) -> Iterator[Sample]:
    """Frames of lines that were not learned from, ten a line."""
    for number in range(-(-frames // 10)):
        spec = line(int(Split.MEASURE) + number)
        yield from frames_of(spec, min(10, frames - 10 * number))


def real_boards(folder: Path) -> Iterator[Sample]:
    """Pictures of real boards with their annotation."""
    for path in sorted(folder.glob("*.txt")):
        image = cv2.imread(str(path.with_suffix(".jpg")), cv2.IMREAD_COLOR)
        if image is None:
            raise SystemExit(f"no picture beside {path}")
        rows = np.loadtxt(path, dtype=np.int32, ndmin=2)
        yield Sample(
            np.asarray(image, dtype=np.uint8), rows[:, :4].astype(np.float32), rows[:, 4] - 1
        )


if __name__ == "__main__":
    main()

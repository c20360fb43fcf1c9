"""The figures, against pycocotools and against hand-made cases."""

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from visionedge.entities import Classification, Detections
from visionedge.evaluation.average_precision import Boxes
from visionedge.evaluation.report import judge_boxes, judge_classes

LABELS = ("a", "b", "c")


def detections(xyxy: NDArray[Any], confidence: NDArray[Any], ids: NDArray[Any]) -> Detections:
    order = np.argsort(-confidence, kind="stable")
    return Detections(
        xyxy.reshape(-1, 4)[order].astype(np.float32),
        confidence[order].astype(np.float32),
        ids[order].astype(np.int32),
        LABELS,
    )


def scene(seed: int, pictures: int = 25) -> tuple[list[Boxes], list[Detections]]:
    """Random truth, and finds that stray, double, miss, mistake and invent."""
    rng = np.random.default_rng(seed)
    truths, found = [], []
    for _ in range(pictures):
        count = int(rng.integers(0, 8))
        low = rng.uniform(0, 200, (count, 2))
        xyxy = np.hstack((low, low + rng.uniform(8, 60, (count, 2)))).astype(np.float32)
        ids = rng.integers(0, 2 if seed == 3 else 3, count).astype(np.int32)
        truths.append(Boxes.true(xyxy, ids))
        seen = rng.choice(count, int(count * 0.8), replace=False) if count else np.zeros(0, int)
        seen = np.concatenate((seen, seen[:1]))
        near = xyxy[seen] + rng.normal(0, 3, (len(seen), 4))
        # Corners in order, as every detector gives them.
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        strange = rng.uniform(0, 200, (2, 2))
        boxes = np.vstack((near, np.hstack((strange, strange + 20))))
        said = np.concatenate((ids[seen], rng.integers(0, 3, 2)))
        said = np.where(rng.random(len(said)) < 0.1, 2, said)
        found.append(detections(boxes, rng.random(len(boxes)), said))
    return truths, found


def pycocotools(truths: list[Boxes], found: list[Detections]) -> tuple[float, float]:
    """mAP50-95 and mAP50 by the reference implementation."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def rows(index: int, boxes: Boxes | Detections) -> list[dict[str, Any]]:
        return [
            {
                "image_id": index,
                "category_id": int(boxes.class_id[n]),
                "bbox": [float(v) for v in (x1, y1, x2 - x1, y2 - y1)],
                "area": float((x2 - x1) * (y2 - y1)),
                "score": float(boxes.confidence[n]),
            }
            for n, (x1, y1, x2, y2) in enumerate(boxes.xyxy.astype(np.float64))
        ]

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        annotations = [row for i, each in enumerate(truths) for row in rows(i, each)]
        coco.dataset = {
            "info": {},
            "images": [{"id": index} for index in range(len(truths))],
            "categories": [{"id": number, "name": name} for number, name in enumerate(LABELS)],
            "annotations": [{**a, "id": n + 1, "iscrowd": 0} for n, a in enumerate(annotations)],
        }
        coco.createIndex()
        results = [row for i, each in enumerate(found) for row in rows(i, each)]
        judge = COCOeval(coco, coco.loadRes(results), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return float(judge.stats[0]), float(judge.stats[1])


@pytest.mark.parametrize("seed", range(5))
def test_the_map_agrees_with_pycocotools(seed: int) -> None:
    truths, found = scene(seed)
    report = judge_boxes(truths, found, LABELS, 0.5)
    whole, half = pycocotools(truths, found)
    assert 0.05 < whole < half < 1
    assert report.map50 == pytest.approx(half, abs=1e-6)
    assert report.map50_95 == pytest.approx(whole, abs=1e-6)


def boxes(*rows: tuple[float, ...]) -> NDArray[np.float32]:
    return np.array(rows, np.float32).reshape(-1, 4)


def test_confusion_counts_the_taken_for_another_the_missed_and_the_invented() -> None:
    truth = Boxes.true(boxes((0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10)), np.array([0, 1, 2]))
    found = detections(
        boxes((0, 0, 10, 10), (20, 0, 30, 10), (80, 0, 90, 10), (40, 0, 50, 10)),
        np.array([0.9, 0.8, 0.7, 0.4]),
        np.array([0, 2, 1, 2]),
    )
    report = judge_boxes([truth], [found], LABELS, 0.5)
    assert report.confusion.tolist() == [
        [1, 0, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 1],
        [0, 1, 0, 0],
    ]
    assert report.precision == pytest.approx(1 / 3)
    assert report.recall == pytest.approx(1 / 3)


def test_boxes_of_a_class_that_nobody_has_named_are_no_crash() -> None:
    truths = [Boxes(boxes((0, 0, 10, 10)), np.zeros(1, np.int32), np.ones(1, np.float32))]
    found = [
        detections(
            boxes((0, 0, 10, 10), (0, 0, 9, 10)),
            np.array([0.9, 0.8], np.float32),
            np.array([0, 7], np.int32),
        )
    ]
    report = judge_boxes(truths, found, ("a",), 0.5)
    assert report.confusion.tolist() == [[1, 0], [0, 0]]
    assert report.precision == 1


def test_reliability_is_the_share_that_was_right_at_each_confidence() -> None:
    truth = Boxes.true(boxes((0, 0, 10, 10)), np.array([0]))
    found = detections(
        boxes((0, 0, 10, 10), (50, 50, 60, 60)), np.array([0.82, 0.88]), np.array([0, 0])
    )
    report = judge_boxes([truth], [found], LABELS, 0.5)
    (band,) = report.reliability
    assert (band.count, band.right) == (2, 0.5)
    assert report.calibration_error == pytest.approx(0.35)


def test_a_class_that_does_not_occur_has_no_figure_and_no_share_in_the_mean() -> None:
    truth = Boxes.true(boxes((0, 0, 10, 10)), np.array([0]))
    found = detections(boxes((0, 0, 10, 10)), np.array([0.9]), np.array([0]))
    report = judge_boxes([truth], [found], LABELS, 0.5)
    assert report.map50 == pytest.approx(1.0)
    assert report.classes[1].ap50 is None
    assert report.document()["classes"][1]["recall"] is None


def test_nothing_found_at_all_is_a_report_and_not_a_crash() -> None:
    truth = Boxes.true(boxes((0, 0, 10, 10)), np.array([0]))
    none = detections(boxes(), np.zeros(0), np.zeros(0))
    report = judge_boxes([truth], [none], LABELS, 0.5)
    assert (report.map50, report.recall, report.precision) == (0.0, 0.0, None)
    assert report.reliability == ()


def test_a_classifier_is_judged_by_its_best_class() -> None:
    said = [
        Classification(np.array(row, np.float32), LABELS)
        for row in ([0.9, 0.1, 0], [0.2, 0.8, 0], [0.6, 0.4, 0], [0, 0.3, 0.7])
    ]
    report = judge_classes([0, 1, 1, 2], said, LABELS)
    assert report.accuracy == 0.75
    assert report.confusion.tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    assert (report.classes[0].precision, report.classes[1].recall) == (0.5, 0.5)

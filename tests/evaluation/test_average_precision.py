import numpy as np
import pytest

from visionedge.evaluation.average_precision import (
    Boxes,
    ClassScore,
    match_class,
    mean_average_precision,
    pooled,
    score_class,
)


def boxes(*rows: tuple[float, float, float, float, int, float]) -> Boxes:
    table = np.array(rows, dtype=np.float32).reshape(-1, 6)
    return Boxes(table[:, :4], table[:, 4].astype(np.int32), table[:, 5])


def test_finding_everything_and_nothing_else_scores_one() -> None:
    truth = boxes((0, 0, 10, 10, 2, 1), (50, 50, 60, 60, 2, 1))
    found = boxes((0, 0, 10, 10, 2, 0.6), (50, 50, 60, 60, 2, 0.9))
    assert score_class(match_class(2, [truth], [found])) == ClassScore(1.0, 1.0, 1.0, 2)


def test_average_precision_is_the_area_under_the_falling_envelope() -> None:
    # Surest first: right, wrong, right, of three true boxes. Precision 1, 1/2, 2/3 at recall
    # 1/3, 1/3, 2/3; the area is 1/3 * 1 + 1/3 * 2/3.
    truth = boxes((0, 0, 10, 10, 0, 1), (20, 0, 30, 10, 0, 1), (40, 0, 50, 10, 0, 1))
    found = boxes(
        (0, 0, 10, 10, 0, 0.9), (70, 0, 80, 10, 0, 0.8), (20, 0, 30, 10, 0, 0.4)
    )  # fmt: skip
    score = score_class(match_class(0, [truth], [found]), threshold=0.5)
    assert score.average_precision == pytest.approx(1 / 3 + 2 / 9)
    assert (score.precision, score.recall) == pytest.approx((1 / 2, 1 / 3))


def test_a_true_box_is_claimed_once_by_the_surest() -> None:
    truth = boxes((0, 0, 10, 10, 1, 1))
    found = boxes((0, 1, 10, 11, 1, 0.5), (0, 0, 10, 10, 1, 0.7))
    matches = match_class(1, [truth], [found])
    assert matches.confidence.tolist() == pytest.approx([0.7, 0.5])
    assert matches.is_true.tolist() == [True, False]


def test_boxes_of_another_class_or_another_frame_claim_nothing() -> None:
    truths = [boxes((0, 0, 10, 10, 1, 1)), boxes()]
    found = [boxes((0, 0, 10, 10, 3, 0.9)), boxes((0, 0, 10, 10, 1, 0.9))]
    matches = match_class(1, truths, found)
    assert matches.is_true.tolist() == [False]
    assert score_class(matches).average_precision == 0.0


def test_a_second_claimant_takes_the_next_best_unclaimed_box() -> None:
    truth = boxes((0, 0, 10, 10, 0, 1), (0, 2, 10, 12, 0, 1))
    found = boxes((0, 0, 10, 10, 0, 0.9), (0, 1, 10, 11, 0, 0.8))
    assert match_class(0, [truth], [found]).is_true.tolist() == [True, True]


def test_the_mean_leaves_out_classes_that_do_not_occur() -> None:
    nan = float("nan")
    scores = [ClassScore(0.5, 1, 1, 4), ClassScore(nan, nan, nan, 0), ClassScore(0.7, 1, 1, 1)]
    assert mean_average_precision(scores) == pytest.approx(0.6)


def test_no_detections_at_all_score_nothing() -> None:
    score = score_class(match_class(0, [boxes((0, 0, 10, 10, 0, 1))], [boxes()]))
    assert score.average_precision == 0.0
    assert score.recall == 0.0
    assert np.isnan(score.precision)


def test_pooled_classes_are_counted_box_by_box() -> None:
    truth = boxes((0, 0, 10, 10, 0, 1), (20, 0, 30, 10, 1, 1), (40, 0, 50, 10, 1, 1))
    found = boxes((0, 0, 10, 10, 0, 0.6), (20, 0, 30, 10, 1, 0.9), (70, 0, 80, 10, 1, 0.7))
    score = score_class(pooled([match_class(c, [truth], [found]) for c in range(2)]))
    assert (score.precision, score.recall, score.truth_count) == pytest.approx((2 / 3, 2 / 3, 3))

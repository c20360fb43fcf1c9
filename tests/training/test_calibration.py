import numpy as np
import pytest

from training.calibrate import fit_line, reliability
from visionedge.evaluation.average_precision import Boxes


def overconfident_frames(claimed: float, right_share: float) -> tuple[list[Boxes], list[Boxes]]:
    """Two hundred frames with one true box, found at its place in only a share of them."""
    truths, found = [], []
    here = np.array([[0, 0, 10, 10]], dtype=np.float32)
    class_id = np.zeros(1, dtype=np.int32)
    for number in range(200):
        is_right = number < 200 * right_share
        truths.append(Boxes(here, class_id, np.ones(1, dtype=np.float32)))
        confidence = np.array([claimed], dtype=np.float32)
        found.append(Boxes(here if is_right else here + 40, class_id, confidence))
    return truths, found


def test_the_line_brings_an_overconfident_score_to_the_share_that_is_right() -> None:
    frames = [overconfident_frames(0.95, 0.7), overconfident_frames(0.4, 0.1)]
    truths = [truth for pair in frames for truth in pair[0]]
    found = [boxes for pair in frames for boxes in pair[1]]
    line = fit_line(truths, found)
    for claimed, wanted in ((0.95, 0.7), (0.4, 0.1)):
        logit = line.gain * np.log(claimed / (1 - claimed)) + line.offset
        assert 1 / (1 + np.exp(-logit)) == pytest.approx(wanted, abs=0.01)


def test_a_detector_that_is_always_right_stays_finite() -> None:
    truths, found = overconfident_frames(0.9, 1.0)
    line = fit_line(truths, found)
    assert np.isfinite([line.gain, line.offset]).all()
    assert line.gain > 0


def test_reliability_tells_the_share_of_right_boxes_in_each_band() -> None:
    truths, found = overconfident_frames(0.95, 0.7)
    [(mean, share, count)] = reliability(truths, found, (0.0, 0.5, 1.0))
    assert (mean, share, count) == pytest.approx((0.95, 0.7, 200))

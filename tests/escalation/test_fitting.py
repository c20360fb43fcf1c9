"""Temperature and thresholds from labelled words."""

import numpy as np
import pytest
from numpy.typing import NDArray

from visionedge.escalation import fitting


def overconfident(
    count: int = 20_000, temperature: float = 2.0
) -> tuple[fitting.Floats, NDArray[np.bool_]]:
    """Words whose logits are `temperature` times what the outcomes bear out."""
    chance = np.random.default_rng(1)
    truth = chance.uniform(0.02, 0.98, count)
    right = chance.random(count) < truth
    return fitting.scaled(truth, 1 / temperature), right


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 4.0])
def test_the_temperature_that_was_put_in_is_found(temperature: float) -> None:
    confidence, right = overconfident(temperature=temperature)
    assert fitting.fit_temperature(confidence, right) == pytest.approx(temperature, rel=0.05)


def test_after_scaling_a_confidence_means_what_it_says() -> None:
    confidence, right = overconfident()
    before = fitting.calibration_error(confidence, right)
    scaled = fitting.scaled(confidence, fitting.fit_temperature(confidence, right))
    assert before > 0.08
    assert fitting.calibration_error(scaled, right) < 0.02


def test_nothing_to_learn_from_changes_nothing() -> None:
    empty = np.zeros(0)
    assert fitting.fit_temperature(empty, empty.astype(np.bool_)) == 1
    assert fitting.fit_temperature(np.array([0.9, 0.8]), np.array([True, True])) == 1
    assert fitting.risk_coverage(empty, empty.astype(np.bool_)) == []
    assert fitting.accept_for([], 0.5, 0) is None
    assert fitting.close_for([], 0.5, 0.1, 0.5) == 0


def test_zero_and_one_are_no_infinite_logits() -> None:
    confidence, right = np.array([0.0, 1.0, 1.0, 0.0]), np.array([False, True, False, True])
    assert np.isfinite(fitting.fit_temperature(confidence, right))
    assert np.isfinite(fitting.scaled(confidence, 0.05)).all()


def test_the_lowest_threshold_within_the_risk_is_chosen_and_keeps_it() -> None:
    confidence, right = overconfident(temperature=1.0)
    points = fitting.risk_coverage(confidence, right)
    chosen = fitting.accept_for(points, 0.1, len(confidence))
    assert chosen is not None
    taken = confidence >= chosen.accept
    assert (~right[taken]).mean() <= 0.1
    assert taken.mean() == pytest.approx(chosen.coverage)
    assert 0.75 < chosen.accept < 0.85
    assert points[-1].coverage == 1


def test_a_risk_that_no_threshold_keeps_is_told() -> None:
    confidence = np.linspace(0.1, 0.9, 50)
    points = fitting.risk_coverage(confidence, np.zeros(50, np.bool_))
    assert fitting.accept_for(points, 0.2, 50) is None


def test_words_of_equal_confidence_are_taken_together() -> None:
    points = fitting.risk_coverage(np.full(4, 0.5), np.array([True, False, True, True]))
    assert points == [fitting.Point(0.5, 1.0, 0.25)]


def test_as_much_is_asked_about_as_is_wanted_and_no_more() -> None:
    pictures = [np.array([0.5 + i / 200]) for i in range(100)]
    close = fitting.close_for(pictures, 0.5, 0.1, 0.2)
    asked = sum(bool((c < 0.5 + close).any()) for c in pictures)
    assert 15 <= asked <= 20
    assert fitting.close_for([np.array([0.4])] * 10, 0.5, 0.1, 0.2) == 0

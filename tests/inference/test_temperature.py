import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionedge.inference.calibration import (
    sigmoid,
    soften,
    soften_binary,
    softmax,
    undo_binary,
)


def test_softening_probabilities_equals_softening_their_logits() -> None:
    logits = np.array([3.0, 1.0, -2.0], np.float32)
    np.testing.assert_allclose(soften(softmax(logits), 2.5), softmax(logits / 2.5), rtol=1e-5)
    np.testing.assert_allclose(
        soften_binary(sigmoid(logits), 2.5), sigmoid(logits / np.float32(2.5)), rtol=1e-5
    )


def test_one_changes_nothing() -> None:
    p = np.array([0.7, 0.3], np.float32)
    assert soften(p, 1.0) is p
    assert soften_binary(p, 1.0) is p


@given(st.floats(0.001, 0.999), st.floats(0.1, 10))
def test_undoing_is_the_inverse_of_softening(probability: float, temperature: float) -> None:
    before = undo_binary(probability, temperature)
    if 1e-6 < before < 1 - 1e-6:
        after = soften_binary(np.array([before], np.float64).astype(np.float64), temperature)
        assert after[0] == pytest.approx(probability, abs=1e-4)


@pytest.mark.parametrize("extreme", [0.0, 1.0])
def test_the_ends_stay_where_they_are(extreme: float) -> None:
    assert undo_binary(extreme, 3.0) == extreme


def test_large_logits_do_not_overflow() -> None:
    logits = np.array([1e30, -1e30, 0], np.float32)
    assert softmax(logits).tolist() == [1, 0, 0]
    assert sigmoid(logits)[:2] == pytest.approx([1, 0], abs=1e-6)

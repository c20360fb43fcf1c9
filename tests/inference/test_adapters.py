"""What every head promises, asked of all of them, with the signatures of true exporters.

The fuzz is of the outputs: a model that was damaged, quantised too far, or read by the wrong
head says anything at all, and what it says must become a prediction within the frame or a
`ModelRunError`, never a crash, a warning or a box in the next street.
"""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from tests.inference.head_goldens import Golden, goldens

from visionedge.entities import Detections
from visionedge.errors import ModelRunError
from visionedge.inference.adapter import ModelAdapter
from visionedge.inference.boxes import Limits
from visionedge.inference.card import validated
from visionedge.inference.registry import build_adapter

LIMITS = Limits(floor=0.1, nms_iou=0.5, max_detections=50)
EVERYTHING = Limits(floor=0.0, nms_iou=0.5, max_detections=50)
FRAME = np.random.default_rng(0).integers(0, 256, (48, 80, 3), dtype=np.uint8)
GOLDENS = goldens()
every_golden = pytest.mark.parametrize("golden", GOLDENS, ids=lambda golden: golden.name)


def adapter_of(golden: Golden, limits: Limits = LIMITS) -> ModelAdapter:
    return build_adapter(validated(golden.card(), "test"), golden.signature(), limits)


def picture_in(adapter: ModelAdapter, golden: Golden, image: NDArray[np.uint8]) -> NDArray[Any]:
    return adapter.preprocess(image)[0][next(iter(golden.document["inputs"]))]


@every_golden
def test_preprocessing_fills_the_same_tensor_every_time(golden: Golden) -> None:
    adapter = adapter_of(golden)
    _, geometry = adapter.preprocess(FRAME)
    first = picture_in(adapter, golden, FRAME)
    second = picture_in(adapter, golden, FRAME[:, ::-1])
    assert second.ctypes.data == first.ctypes.data
    assert (geometry.width, geometry.height) == (80, 48)


@every_golden
def test_workers_do_not_share_a_tensor(golden: Golden) -> None:
    one, other = (picture_in(adapter_of(golden), golden, FRAME) for _ in range(2))
    assert not np.shares_memory(one, other)


@every_golden
def test_decoding_is_pure(golden: Golden) -> None:
    adapter, outputs = adapter_of(golden), golden.outputs()
    _, geometry = adapter.preprocess(FRAME)
    copies = golden.outputs()
    first, second = (adapter.decode(outputs, geometry) for _ in range(2))
    for before, after in zip(copies, outputs, strict=True):
        np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(first.confidence, second.confidence)
    assert first.labels == tuple(golden.labels)


@every_golden
def test_what_is_predicted_keeps_the_rules_of_entities(golden: Golden) -> None:
    adapter = adapter_of(golden)
    _, geometry = adapter.preprocess(FRAME)
    found = adapter.decode(golden.outputs(), geometry)
    assert found.confidence.dtype == np.float32
    assert (found.confidence >= 0).all()
    assert (found.confidence <= 1).all()
    if isinstance(found, Detections):
        assert found.xyxy.dtype == np.float32
        assert found.class_id.dtype == np.int32
        assert len(found) > 0


@every_golden
def test_a_whole_output_of_nan_or_infinity_is_an_error_and_not_nothing(golden: Golden) -> None:
    for bad in (np.nan, np.inf):
        outputs = [np.full_like(o, bad) if is_float(o) else o for o in golden.outputs()]
        if not any(map(is_float, outputs)):
            outputs = [[dict.fromkeys(golden.labels, bad)]]
        with pytest.raises(ModelRunError):
            decoded(golden, outputs)


huge = st.sampled_from([0, 1, -1, 0.5, 1e9, -1e9, 3e38, -3e38, np.nan, np.inf, -np.inf])
numbers = st.one_of(huge, st.floats(0, 1, width=32), st.floats(width=32))
anything = st.one_of(
    arrays(np.float32, array_shapes(max_dims=5, max_side=9), elements=st.floats(width=32)),
    arrays(np.float32, array_shapes(min_dims=2, max_dims=3, min_side=0, max_side=4)),
    arrays(np.int64, array_shapes(max_dims=3)),
    st.lists(st.dictionaries(st.text(max_size=2), st.floats()), max_size=2),
    st.none(),
)


@every_golden
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_no_values_crash_a_decode_or_give_a_box_outside_the_frame(
    golden: Golden, data: st.DataObject
) -> None:
    outputs = golden.outputs()
    for index, output in enumerate(outputs):
        if isinstance(output, np.ndarray) and data.draw(st.booleans()):
            spots = data.draw(st.lists(st.integers(0, output.size - 1), max_size=12))
            fill = data.draw(st.none() | numbers) if is_float(output) else None
            changed = output.copy() if fill is None else np.full_like(output, fill)
            for spot in spots:
                value = numbers if is_float(output) else st.integers(-(2**63), 2**63 - 1)
                changed.flat[spot] = data.draw(value)
            outputs[index] = changed
    must_hold(golden, outputs)


@every_golden
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_no_shape_crashes_a_decode_or_gives_a_box_outside_the_frame(
    golden: Golden, data: st.DataObject
) -> None:
    outputs = golden.outputs()
    for index in data.draw(st.sets(st.integers(0, len(outputs) - 1), min_size=1)):
        outputs[index] = data.draw(anything | st.just(other_shape(outputs[index], data)))
    must_hold(golden, outputs)


def other_shape(output: object, data: st.DataObject) -> object:
    """The same values, an axis more, or fewer rows of one."""
    if not isinstance(output, np.ndarray):
        return output
    axis = data.draw(st.integers(0, output.ndim - 1))
    cut = np.take(output, range(data.draw(st.integers(0, output.shape[axis]))), axis)
    return data.draw(st.sampled_from([cut, output[None], np.swapaxes(output, 0, axis), output.T]))


def must_hold(golden: Golden, outputs: list[Any]) -> None:
    try:
        found = decoded(golden, outputs)
    except ModelRunError:
        return
    assert np.isfinite(found.confidence).all()
    assert ((found.confidence >= 0) & (found.confidence <= 1)).all()
    boxes = found.xyxy if isinstance(found, Detections) else found.hot
    assert (boxes >= 0).all()
    assert (boxes <= [80, 48, 80, 48]).all()
    if isinstance(found, Detections):
        assert (found.class_id >= 0).all()
        assert (found.class_id < len(golden.labels)).all()


def decoded(golden: Golden, outputs: list[Any]) -> Any:  # noqa: ANN401 - either kind of prediction
    adapter = adapter_of(golden, EVERYTHING)
    _, geometry = adapter.preprocess(FRAME)
    return adapter.decode(outputs, geometry)


def is_float(output: object) -> bool:
    return isinstance(output, np.ndarray) and output.dtype.kind == "f"

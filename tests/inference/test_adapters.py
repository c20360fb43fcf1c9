"""What every head promises, asked of all of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from visionedge.entities import Detections
from visionedge.errors import ModelRunError
from visionedge.inference.adapter import ModelAdapter
from visionedge.inference.boxes import Limits
from visionedge.inference.card import TASKS, validated
from visionedge.inference.registry import ADAPTERS, build_adapter
from visionedge.inference.tensors import Outputs, Signature, TensorSpec

FLOAT = np.dtype("float32")
LIMITS = Limits(floor=0.1, nms_iou=0.5, max_detections=50)
FRAME = np.random.default_rng(0).integers(0, 256, (48, 80, 3), dtype=np.uint8)
CELLS = 84


def rows(*shape: int, box_axis: int = 2) -> NDArray[np.float32]:
    """Random candidates, with boxes around the middle of the input."""
    out = np.random.default_rng(1).random(shape).astype(np.float32)
    boxes = np.moveaxis(out, box_axis, 2)[..., :4]
    boxes[...] = boxes * 20 + [20, 20, 30, 30]
    return out


@dataclass(frozen=True)
class Case:
    outputs: Outputs
    free: tuple[int | None, ...]
    """Shape of the first output where the model leaves all open."""


CASES = {
    "classifier": Case([np.array([[0.3, 0.7]], np.float32)], (None, None)),
    "custom_vision_classification": Case([[{"a": 0.3, "b": 0.7}]], ()),
    "yolo_v5": Case([rows(1, 3 * CELLS, 7)], (None, None, None)),
    "yolo_v8": Case([rows(1, 6, CELLS, box_axis=1)], (None, None, None)),
    "yolo_end2end": Case([rows(1, 20, 6)], (None, None, None)),
    "yolox": Case([np.random.default_rng(1).random((1, CELLS, 7), np.float32)], (None, None, None)),
}


def adapter_of(head: str) -> ModelAdapter:
    fields: dict[str, Any] = {"output": {"activation": "none"}} if head == "classifier" else {}
    card = validated({"name": "m", "head": head, "labels": ["a", "b"], **fields}, "test")
    free = CASES[head].free
    output = TensorSpec("out", free, FLOAT if free else None)
    return build_adapter(
        card, Signature((TensorSpec("in", (1, 3, 64, 64), FLOAT),), (output,)), LIMITS
    )


def test_every_head_is_asked() -> None:
    assert CASES.keys() == ADAPTERS.keys() == TASKS.keys()


@pytest.mark.parametrize("head", CASES)
def test_preprocessing_fills_the_same_tensor_every_time(head: str) -> None:
    adapter = adapter_of(head)
    first, geometry = adapter.preprocess(FRAME)
    address = first["in"].ctypes.data
    second, _ = adapter.preprocess(FRAME[:, ::-1])
    assert second["in"].ctypes.data == address
    assert (geometry.width, geometry.height) == (80, 48)


@pytest.mark.parametrize("head", CASES)
def test_workers_do_not_share_a_tensor(head: str) -> None:
    one, _ = adapter_of(head).preprocess(FRAME)
    other, _ = adapter_of(head).preprocess(FRAME)
    assert not np.shares_memory(one["in"], other["in"])


@pytest.mark.parametrize("head", CASES)
def test_decoding_is_pure(head: str) -> None:
    adapter, outputs = adapter_of(head), CASES[head].outputs
    _, geometry = adapter.preprocess(FRAME)
    copies = [np.copy(o) if isinstance(o, np.ndarray) else [*o] for o in outputs]
    first, second = (adapter.decode(outputs, geometry) for _ in range(2))
    for before, after in zip(copies, outputs, strict=True):
        np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(first.confidence, second.confidence)
    assert first.labels == ("a", "b")


@pytest.mark.parametrize("head", CASES)
def test_what_is_predicted_keeps_the_rules_of_entities(head: str) -> None:
    adapter = adapter_of(head)
    _, geometry = adapter.preprocess(FRAME)
    found = adapter.decode(CASES[head].outputs, geometry)
    assert found.confidence.dtype == np.float32
    assert (found.confidence >= 0).all()
    assert (found.confidence <= 1).all()
    if isinstance(found, Detections):
        assert found.xyxy.dtype == np.float32
        assert found.class_id.dtype == np.int32
        assert len(found) > 0


any_number, unit = st.floats(width=32), st.floats(0, 1, width=32)
outputs_of_any_kind = st.one_of(
    arrays(np.float32, array_shapes(max_dims=5, max_side=9), elements=any_number),
    arrays(np.float32, st.just((1, 6, CELLS)), elements=any_number, fill=unit),
    arrays(np.float32, st.just((1, CELLS, 7)), elements=any_number, fill=unit),
    arrays(np.int64, array_shapes(max_dims=3)),
    st.lists(st.dictionaries(st.text(max_size=2), st.floats()), max_size=2),
    st.none(),
)


@pytest.mark.parametrize("head", CASES)
@given(output=outputs_of_any_kind)
def test_no_output_crashes_a_decode_or_gives_a_box_outside_the_frame(
    head: str, output: object
) -> None:
    adapter = adapter_of(head)
    _, geometry = adapter.preprocess(FRAME)
    try:
        found = adapter.decode([output], geometry)
    except ModelRunError:
        return
    assert np.isfinite(found.confidence).all()
    if isinstance(found, Detections):
        assert (found.xyxy >= 0).all()
        assert (found.xyxy <= [80, 48, 80, 48]).all()

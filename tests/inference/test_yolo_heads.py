"""Decodes computed by hand from the exporters' layouts."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from visionedge.entities import Detections
from visionedge.errors import ModelCardError, ModelRunError
from visionedge.inference.boxes import Limits
from visionedge.inference.card import ModelCard, validated
from visionedge.inference.geometry import place
from visionedge.inference.grid import grid
from visionedge.inference.registry import build_adapter
from visionedge.inference.tensors import Signature, TensorSpec

LIMITS = Limits(floor=0.25, nms_iou=0.45, max_detections=300)
SIDE = 64
CELLS = 64 + 16 + 4
"""Of strides 8, 16 and 32 at 64 pixels."""
LABELS = ["bolt", "nut", "washer"]


def card(head: str, **fields: Any) -> ModelCard:  # noqa: ANN401 - any field of a card
    return validated({"name": "m", "head": head, "labels": LABELS, **fields}, "test")


def signature(*shapes: tuple[int | None, ...]) -> Signature:
    float32 = np.dtype("float32")
    outputs = tuple(TensorSpec(f"out{i}", shape, float32) for i, shape in enumerate(shapes))
    return Signature((TensorSpec("images", (1, 3, SIDE, SIDE), float32),), outputs)


def decode(
    model: ModelCard, *outputs: NDArray[Any], frame: tuple[int, int] = (SIDE, SIDE)
) -> Detections:
    adapter = build_adapter(model, signature(*(o.shape for o in outputs)), LIMITS)
    geometry = place(model.input.fit, frame, (SIDE, SIDE))
    found = adapter.decode([*outputs], geometry.geometry)
    assert isinstance(found, Detections)
    return found


def test_yolo_v8_reads_columns_of_box_and_scores() -> None:
    out = np.zeros((1, 4 + 3, CELLS), np.float32)
    out[0, :, 5] = [32, 16, 20, 8, 0.1, 0.9, 0.2]
    out[0, :, 9] = [10, 40, 4, 4, 0.3, 0.0, 0.6]
    out[0, :, 20] = [32, 16, 20, 8, 0.0, 0.8, 0.0]  # the same nut again
    found = decode(card("yolo_v8"), out)
    assert found.xyxy.tolist() == [[22, 12, 42, 20], [8, 38, 12, 42]]
    assert found.confidence == pytest.approx([0.9, 0.6])
    assert [found.label(i) for i in range(2)] == ["nut", "washer"]


def test_boxes_come_back_through_the_letterbox() -> None:
    out = np.zeros((1, 7, CELLS), np.float32)
    out[0, :, 0] = [32, 32, 64, 32, 0.9, 0, 0]
    # 128 x 64 becomes 64 x 32 with 16 of padding above and below.
    found = decode(card("yolo_v8"), out, frame=(128, 64))
    assert found.xyxy.tolist() == [[0, 0, 128, 64]]


def test_yolo_v5_multiplies_objectness_and_class() -> None:
    out = np.zeros((1, 3 * CELLS, 5 + 3), np.float32)
    out[0, 3] = [20, 20, 10, 10, 0.5, 0.1, 0.2, 0.8]
    out[0, 4] = [50, 50, 10, 10, 0.3, 0.0, 0.8, 0.0]  # 0.24, below the floor
    out[0, 7] = [50, 20, 10, 10, 0.2, 1.0, 1.0, 1.0]  # no class can lift it over the floor
    found = decode(card("yolo_v5"), out)
    assert found.xyxy.tolist() == [[15, 15, 25, 25]]
    assert found.confidence == pytest.approx([0.4])
    assert found.class_id.tolist() == [2]


def test_yolo_v5_passes_over_the_raw_grids() -> None:
    out = np.zeros((1, 3 * CELLS, 8), np.float32)
    out[0, 0] = [20, 20, 10, 10, 1, 1, 0, 0]
    grids = [np.full((1, 3, n, n, 8), np.nan, np.float32) for n in (8, 4, 2)]
    assert len(decode(card("yolo_v5"), *grids, out)) == 1


def test_an_output_can_be_named() -> None:
    empty, full = np.zeros((2, 1, 3 * CELLS, 8), np.float32)
    full[0, 0] = [20, 20, 10, 10, 1, 1, 0, 0]
    named = card("yolo_v5", output={"name": "out1"})
    assert len(decode(named, empty, full)) == 1
    with pytest.raises(ModelCardError, match="`other`"):
        decode(card("yolo_v5", output={"name": "other"}), empty)


def test_yolox_decodes_cells() -> None:
    out = np.zeros((1, CELLS, 8), np.float32)
    # Row 64 + 5 is in the 4 x 4 grid of stride 16: column 1, row 1.
    out[0, 64 + 5] = [0.5, 0.25, np.log(2), np.log(0.5), 0.9, 0.1, 1.0, 0.3]
    found = decode(card("yolox"), out)
    # Centre (1.5 * 16, 1.25 * 16), size (2 * 16, 0.5 * 16).
    np.testing.assert_allclose(found.xyxy, [[8, 16, 40, 24]], rtol=1e-5)
    assert found.confidence == pytest.approx([0.9])
    assert found.class_id.tolist() == [1]


def test_the_grid_goes_through_strides_and_lines() -> None:
    cells, strides = grid((64, 32), (16, 32))
    assert cells.tolist()[:5] == [[0, 0], [1, 0], [2, 0], [3, 0], [0, 1]]
    assert strides.tolist() == [16] * 8 + [32] * 2


def test_yolox_decodes_no_row_twice() -> None:
    out = np.zeros((1, CELLS, 8), np.float32)
    out[0, 0] = [0, 0, 0, 0, 0.9, 0.9, 0, 0]
    before = out.copy()
    assert decode(card("yolox"), out).xyxy.tolist() == decode(card("yolox"), out).xyxy.tolist()
    np.testing.assert_array_equal(out, before)


def test_yolox_with_other_strides_is_refused() -> None:
    out = np.zeros((1, CELLS, 8), np.float32)
    out[0, 0, 4:] = 0.9
    with pytest.raises(ModelRunError, match=r"output\.strides"):
        decode(card("yolox", output={"strides": [8, 16]}), out)


def test_a_box_of_a_size_beyond_numbers_is_an_error_and_no_warning() -> None:
    out = np.zeros((1, CELLS, 8), np.float32)
    out[0, 0] = [0, 0, 500, 500, 0.9, 0.9, 0, 0]
    with pytest.raises(ModelRunError, match="far out"):
        decode(card("yolox"), out)


def test_yolo_end_to_end_suppresses_nothing() -> None:
    out = np.zeros((1, 10, 6), np.float32)
    out[0, 0] = [10, 10, 30, 30, 0.7, 1]
    out[0, 1] = [10, 10, 30, 30, 0.8, 1]
    out[0, 2] = [0, 0, 5, 5, 0.2, 0]
    found = decode(card("yolo_end2end"), out)
    assert found.confidence == pytest.approx([0.8, 0.7])
    assert found.class_id.tolist() == [1, 1]
    assert found.xyxy.tolist() == [[10, 10, 30, 30]] * 2


@pytest.mark.parametrize("number", [3, -1, np.nan, 1e9])
def test_yolo_end_to_end_refuses_a_class_that_has_no_label(number: float) -> None:
    out = np.zeros((1, 4, 6), np.float32)
    out[0, 0] = [10, 10, 30, 30, 0.7, number]
    with pytest.raises(ModelRunError, match="class number"):
        decode(card("yolo_end2end"), out)


def test_an_empty_list_of_finished_boxes_is_fine() -> None:
    model = card("yolo_end2end")
    adapter = build_adapter(model, signature((1, None, 6)), LIMITS)
    geometry = place("stretch", (SIDE, SIDE), (SIDE, SIDE)).geometry
    assert len(adapter.decode([np.zeros((1, 0, 6), np.float32)], geometry)) == 0


HEADS = {
    "yolo_v8": (1, 7, CELLS),
    "yolo_v5": (1, 3 * CELLS, 8),
    "yolox": (1, CELLS, 8),
    "yolo_end2end": (1, 300, 6),
}


@pytest.mark.parametrize("head", HEADS)
def test_nothing_seen_is_no_boxes(head: str) -> None:
    found = decode(card(head), np.zeros(HEADS[head], np.float32))
    assert len(found) == 0
    assert found.labels == tuple(LABELS)


@pytest.mark.parametrize("head", HEADS)
def test_everything_seen_is_as_many_boxes_as_allowed(head: str) -> None:
    out = np.random.default_rng(1).random(HEADS[head]).astype(np.float32)
    if head == "yolo_v8":
        out[0, :4] *= SIDE
    else:
        out[..., :4] *= SIDE if head != "yolox" else 1
        out[..., 4] = 1
    if head == "yolo_end2end":
        out[..., 2:4] = SIDE
    limits = Limits(floor=0, nms_iou=1, max_detections=20)
    adapter = build_adapter(card(head), signature(HEADS[head]), limits)
    found = adapter.decode([out], place("stretch", (100, 50), (SIDE, SIDE)).geometry)
    assert isinstance(found, Detections)
    assert 10 < len(found) <= 20
    assert (np.diff(found.confidence) <= 0).all()
    assert (found.xyxy >= 0).all()
    assert (found.xyxy <= [100, 50, 100, 50]).all()


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_model_that_says_nan_is_an_error_and_not_nothing(head: str, bad: float) -> None:
    with pytest.raises(ModelRunError):
        decode(card(head), np.full(HEADS[head], bad, np.float32))


@pytest.mark.parametrize("head", HEADS)
def test_half_precision_outputs_are_read(head: str) -> None:
    out = np.zeros(HEADS[head], np.float16)
    assert len(decode(card(head), out)) == 0


@pytest.mark.parametrize("head", ["yolo_v8", "yolo_v5", "yolox"])
def test_labels_must_be_as_many_as_classes(head: str) -> None:
    wrong = card(head, labels=["one", "two"])
    with pytest.raises(ModelCardError, match="2 labels for a model with 3 classes"):
        decode(wrong, np.zeros(HEADS[head], np.float32))
    free = build_adapter(wrong, signature((None, None, None)), LIMITS)
    geometry = place("stretch", (SIDE, SIDE), (SIDE, SIDE)).geometry
    with pytest.raises(ModelRunError, match="`head` and `labels`"):
        free.decode([np.zeros(HEADS[head], np.float32)], geometry)


@pytest.mark.parametrize("head", HEADS)
def test_a_model_without_labels_numbers_its_classes(head: str) -> None:
    found = decode(card(head, labels=[]), np.zeros(HEADS[head], np.float32))
    assert found.labels == ()


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("shape", [(2, 7, 84), (1, 3, 2, 7, 84), (7,), (1, 1), (1, 2, 2)])
def test_an_output_of_another_shape_is_an_error(head: str, shape: tuple[int, ...]) -> None:
    adapter = build_adapter(card(head), signature((None, None, None)), LIMITS)
    geometry = place("stretch", (SIDE, SIDE), (SIDE, SIDE)).geometry
    with pytest.raises(ModelRunError, match="card"):
        adapter.decode([np.zeros(shape, np.float32)], geometry)


@pytest.mark.parametrize("head", HEADS)
def test_a_model_with_two_inputs_is_refused(head: str) -> None:
    one = signature(HEADS[head])
    two = Signature(one.inputs * 2, one.outputs)
    with pytest.raises(ModelCardError, match="2 inputs"):
        build_adapter(card(head), two, LIMITS)

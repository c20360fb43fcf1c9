"""What the golden folders of the newer heads do not show: cards, background, faults."""

from typing import Any

import numpy as np
import pytest
from tests.inference.head_goldens import Golden, goldens

from visionedge.entities import Detections
from visionedge.errors import ModelCardError, ModelRunError
from visionedge.inference.boxes import Limits
from visionedge.inference.card import validated
from visionedge.inference.geometry import Geometry, place
from visionedge.inference.registry import build_adapter
from visionedge.inference.size_inputs import size_inputs
from visionedge.inference.tensors import Outputs, Signature, TensorSpec

LIMITS = Limits(floor=0.25, nms_iou=0.45, max_detections=300)
SAME = Geometry(1, 1, 0, 0, 64, 64)
BY_NAME = {golden.name: golden for golden in goldens()}


def decode(name: str, outputs: Outputs | None = None, **fields: Any) -> Detections:  # noqa: ANN401 - any field
    golden = BY_NAME[name]
    card = golden.card()
    for part, value in fields.items():
        card[part] = {**card.get(part, {}), **value} if isinstance(value, dict) else value
    adapter = build_adapter(validated(card, "test"), golden.signature(), LIMITS)
    found = adapter.decode(outputs or golden.outputs(), SAME)
    assert isinstance(found, Detections)
    return found


@pytest.mark.parametrize("name", ["tf_detection/tf2onnx", "torchvision_detection/ssd"])
def test_a_list_of_labels_may_begin_with_the_background(name: str) -> None:
    found = decode(name, labels=["background", "bolt", "nut", "washer"])
    assert (found.label(0), found.class_id[0]) == ("nut", 2)
    with pytest.raises(ModelRunError, match="labels"):
        decode(name, labels=["bolt"])


def test_anchors_of_a_card_are_taken() -> None:
    anchors = [[w, w] for w in (8, 8, 8, 8, 16, 8, 8, 8, 8)]
    found = decode("yolo_v5_raw/yolov5-lite", output={"anchors": anchors})
    # Centre 40, 32; 16 wide, and a quarter of 16 high.
    assert found.xyxy[0] == pytest.approx([32, 30, 48, 34])


def test_anchors_that_do_not_go_with_the_strides_are_refused() -> None:
    with pytest.raises(ModelCardError, match=r"output\.anchors"):
        decode("yolo_v5_raw/grids", output={"anchors": [[8, 8], [8, 8]]})


def test_grids_of_other_strides_are_refused() -> None:
    with pytest.raises(ModelRunError, match=r"output\.strides"):
        decode("yolo_v5_raw/yolov5-lite", output={"strides": [8, 16], "anchors": [[8, 8]] * 6})


def test_tiny_yolo_v2_has_anchors_of_its_own() -> None:
    anchors = [[1.08, 1.19], [1.0, 1.0], [6.63, 11.38], [9.42, 5.11], [16.62, 10.52]]
    found = decode("yolo_v2/custom-vision", output={"anchors": anchors})
    # Centre 48, 24; a cell of 32 wide, and half of one high.
    assert found.xyxy[0] == pytest.approx([32, 16, 64, 32], abs=1e-3)


def test_a_count_that_is_nonsense_counts_nothing_away() -> None:
    outputs = BY_NAME["tf_detection/tf2onnx"].outputs()
    for nonsense in (np.nan, -1, 1e9):
        outputs[-1] = np.array([nonsense], np.float32)
        assert len(decode("tf_detection/tf2onnx", outputs)) == 2
    outputs[-1] = np.array([0], np.float32)
    assert len(decode("tf_detection/tf2onnx", outputs)) == 0


def test_a_size_is_told_in_the_inputs_pixels_and_type() -> None:
    told = size_inputs(BY_NAME["detr/deim"].signature(), (320, 240))
    assert {name: (v.tolist(), v.dtype.name) for name, v in told.items()} == {
        "orig_target_sizes": ([[320, 240]], "int64")
    }


def test_an_input_that_is_no_size_is_refused_with_what_may_be_there() -> None:
    golden: Golden = BY_NAME["yolo_v8/ultralytics"]
    mask = TensorSpec("mask", (1, 1, 64, 64), np.dtype("float32"))
    two = Signature((*golden.signature().inputs, mask), golden.signature().outputs)
    with pytest.raises(ModelCardError, match="orig_target_sizes"):
        size_inputs(two, (64, 64))


def test_a_cut_letterbox_is_centred_and_its_longer_side_whole() -> None:
    placement = place("letterbox_cut", (773, 512), (416, 416))
    # 512 * 416 / 773 = 275.5; 773 * (416 / 773) is 415.99... in floating point.
    assert (placement.left, placement.top) == (0, 70)
    assert (placement.width, placement.height) == (416, 275)


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("yunet/opencv", "cls_8"),
        ("tf_detection/tf2onnx", "num_detections"),
        ("custom_vision_detection/compact-s1", "detected_boxes"),
    ],
)
def test_a_missing_output_is_named(name: str, output: str) -> None:
    golden = BY_NAME[name]
    there = golden.signature()
    left = tuple(spec for spec in there.outputs if spec.name != output)
    with pytest.raises(ModelCardError, match=output):
        build_adapter(validated(golden.card(), "test"), Signature(there.inputs, left), LIMITS)


@pytest.mark.parametrize("name", ["detr/deim", "torchvision_detection/ssd", "gfl/nanodet"])
def test_outputs_of_another_kind_are_refused(name: str) -> None:
    golden = BY_NAME[name]
    one = Signature(golden.signature().inputs, golden.signature().outputs[:1])
    with pytest.raises(ModelCardError, match="head"):
        build_adapter(validated(golden.card(), "test"), one, LIMITS)


def test_empty_planes_are_refused() -> None:
    outputs = BY_NAME["yolo_v5_raw/planes"].outputs()
    outputs[0] = np.zeros((1, 24, 0, 0), np.float32)
    with pytest.raises(ModelRunError, match="shape"):
        decode("yolo_v5_raw/planes", outputs)


def test_grids_of_different_columns_are_refused() -> None:
    outputs = BY_NAME["yolo_v5_raw/grids"].outputs()
    for columns in (0, 4, 7):
        outputs[1] = np.zeros((1, 3, 4, 4, columns), np.float32)
        with pytest.raises(ModelRunError, match="shape"):
            decode("yolo_v5_raw/grids", outputs)


def test_centres_beyond_numbers_are_an_error_and_no_warning() -> None:
    outputs = BY_NAME["yolox/megvii"].outputs()
    outputs[0][0, 69, :2] = 3e38
    with pytest.raises(ModelRunError, match="far out"):
        decode("yolox/megvii", outputs)

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from tests.inference.graphs import answers, color_classifier, named_classes, saved

from visionedge.errors import ModelCardError
from visionedge.inference.card import ModelCard
from visionedge.inference.coco import COCO_80
from visionedge.inference.describe import Description, describe
from visionedge.inference.session import Session

CPU = ("CPUExecutionProvider",)
SIDE = 64
CELLS = 84
"""Of strides 8, 16 and 32 at 64 pixels."""
WEIGHTS = np.array([[0.3, 0, -0.3], [-0.3, 0, 0.3], [0, 0.3, -0.3]], np.float32)
"""Of a colour classifier that sees differences of a few grey levels, so it wants 0..255."""


def read(path: Path, **given: Any) -> Description:  # noqa: ANN401 - any field of a card
    return describe(Session(path, CPU), given, str(path))


def described(model: onnx.ModelProto, folder: Path, **given: Any) -> Description:  # noqa: ANN401 - any field
    return read(saved(model, folder / "model.onnx"), **given)


def rows(count: int, columns: int, centres_px: float) -> np.ndarray[tuple[int, ...], np.dtype[Any]]:
    out = np.zeros((1, count, columns), np.float32)
    spread = np.linspace(0, centres_px, count)
    out[0, :, 0] = out[0, :, 1] = spread
    return out


ULTRALYTICS = {
    "names": "{0: 'bolt', 1: 'nut'}",
    "task": "detect",
    "imgsz": "[64, 64]",
    "license": "AGPL-3.0",
    "version": "8.4",
}


def test_an_ultralytics_export_needs_nothing_else(tmp_path: Path) -> None:
    model = answers({"output0": np.zeros((1, 6, CELLS))}, metadata=ULTRALYTICS)
    found = described(model, tmp_path / "boltfinder")
    assert found.card.head == "yolo_v8"
    assert found.card.labels == ("bolt", "nut")
    assert found.card.name == "boltfinder"
    assert (found.card.version, found.card.licence) == ("8.4", "AGPL-3.0")
    assert found.card.input.fit == "letterbox"
    assert found.origins["labels"] == "metadata names"
    assert "84 cells" in found.origins["head"]


def test_an_ultralytics_export_of_free_size_takes_its_imgsz(tmp_path: Path) -> None:
    model = answers(
        {"output0": np.zeros((1, 6, CELLS))},
        input_shape=(1, 3, "h", "w"),
        output_shapes={"output0": (1, 6, "n")},
        metadata=ULTRALYTICS,
    )
    found = described(model, tmp_path)
    assert (found.card.input.width_px, found.card.input.height_px) == (SIDE, SIDE)
    assert found.origins["input.width_px"] == "metadata imgsz"


def test_one_side_that_is_fixed_wins_over_every_convention(tmp_path: Path) -> None:
    model = answers(
        {"output0": np.zeros((1, 6, 2 * CELLS))},
        input_shape=(1, 3, "h", SIDE * 2),
        output_shapes={"output0": (1, 6, "n")},
        metadata=ULTRALYTICS,
    )
    found = described(model, tmp_path).card.input
    assert (found.width_px, found.height_px) == (SIDE * 2, SIDE)


def test_finished_boxes_are_read_end_to_end(tmp_path: Path) -> None:
    model = answers({"output0": np.zeros((1, 300, 6))}, metadata=ULTRALYTICS)
    assert described(model, tmp_path).card.head == "yolo_end2end"


@pytest.mark.parametrize("task", ["pose", "obb"])
def test_an_ultralytics_task_that_is_not_read_is_named(tmp_path: Path, task: str) -> None:
    model = answers({"output0": np.zeros((1, 6, CELLS))}, metadata={**ULTRALYTICS, "task": task})
    with pytest.raises(ModelCardError, match=task):
        described(model, tmp_path)


@pytest.mark.parametrize(
    ("count", "centres_px", "head", "scale"),
    [
        (3 * CELLS, SIDE, "yolo_v5", 1 / 255),
        (CELLS, 2, "yolox", 1.0),
        (CELLS, SIDE, "yolo_v5", 1.0),
    ],
)
def test_the_same_columns_are_told_apart_by_rows_and_values(
    tmp_path: Path, count: int, centres_px: float, head: str, scale: float
) -> None:
    found = described(answers({"output": rows(count, 7, centres_px)}), tmp_path)
    assert found.card.head == head
    assert found.card.input.scale == pytest.approx(scale)
    assert "probed" in found.origins["head"]


def test_yolox_is_fed_as_yolox_even_if_it_is_decoded_in_the_graph(tmp_path: Path) -> None:
    for centres_px in (2, SIDE):
        found = described(answers({"output": rows(CELLS, 7, centres_px)}), tmp_path)
        assert found.card.input.color == "bgr"
        assert found.card.input.fit == "letterbox_top_left"


def test_a_yolo_v5_that_is_not_decoded_is_told_by_its_values(tmp_path: Path) -> None:
    found = described(answers({"output": rows(3 * CELLS, 7, 1)}), tmp_path)
    assert found.card.head == "yolo_v5_raw"
    assert found.card.output.activation == "none"
    logits = described(answers({"output": rows(3 * CELLS, 7, 4)}), tmp_path)
    assert logits.card.output.activation == "sigmoid"


def test_of_several_outputs_the_table_is_named(tmp_path: Path) -> None:
    grids = {f"grid{n}": np.zeros((1, 3, n, n, 7)) for n in (8, 4, 2)}
    model = answers({**grids, "table": rows(3 * CELLS, 7, SIDE)})
    found = described(model, tmp_path)
    assert found.card.head == "yolo_v5"
    assert found.card.output.name == "table"


def test_eighty_classes_without_names_are_assumed_to_be_cocos(tmp_path: Path) -> None:
    found = described(answers({"output": np.zeros((1, 84, CELLS))}), tmp_path)
    assert found.card.labels == COCO_80
    assert len(COCO_80) == len(set(COCO_80)) == 80
    assert COCO_80[39] == "bottle"
    assert "assumed" in found.origins["labels"]


def test_labels_beside_the_model_are_taken(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("one\ntwo")
    found = described(answers({"output": np.zeros((1, 6, CELLS))}), tmp_path)
    assert found.card.labels == ("one", "two")
    assert found.origins["labels"] == "labels.txt"


def test_a_custom_vision_manifest_names_the_label_file_and_no_other_folder(tmp_path: Path) -> None:
    (tmp_path / "tags.txt").write_text("one\ntwo")
    (tmp_path / "cvexport.manifest").write_text('{"LabelFileName": "tags.txt"}')
    model = answers({"output": np.zeros((1, 6, CELLS))})
    assert described(model, tmp_path).card.labels == ("one", "two")
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "cvexport.manifest").write_text('{"LabelFileName": "../tags.txt"}')
    assert described(model, inner).card.labels == ()


@pytest.mark.parametrize(
    "outputs",
    [
        {"scores": np.zeros((1, 100, 80)), "boxes": np.zeros((1, 100, 4))},
        {"map": np.zeros((1, 85, 22, 22))},
        {"output0": np.zeros((1, 36, CELLS)), "masks": np.zeros((1, 32, 16, 16))},
        {"one": np.zeros((1, 6, CELLS)), "other": np.zeros((1, 6, CELLS))},
        {"output": np.zeros((1, 123, 77))},
    ],
)
def test_outputs_that_fit_no_head_are_refused_and_listed(
    tmp_path: Path, outputs: dict[str, Any]
) -> None:
    with pytest.raises(ModelCardError) as caught:
        described(answers(outputs), tmp_path)
    assert all(name in str(caught.value) for name in outputs)


def test_a_segmentation_export_is_read_for_its_boxes(tmp_path: Path) -> None:
    metadata = {**ULTRALYTICS, "task": "segment"}
    outputs = {"output0": np.zeros((1, 38, CELLS)), "output1": np.zeros((1, 32, 16, 16))}
    found = described(answers(outputs, metadata=metadata), tmp_path)
    assert (found.card.head, found.card.labels) == ("yolo_v8", ("bolt", "nut"))
    assert (found.card.output.name, found.card.output.masks) == ("output0", 32)


def test_the_card_wins_over_everything(tmp_path: Path) -> None:
    model = answers({"output0": np.zeros((1, 6, CELLS))}, metadata=ULTRALYTICS)
    given = {"name": "mine", "labels": ["x", "y"], "input": {"color": "bgr", "pad": 0}}
    found = described(model, tmp_path, **given)
    assert (found.card.name, found.card.labels) == ("mine", ("x", "y"))
    assert (found.card.input.color, found.card.input.pad) == ("bgr", 0)
    assert found.card.input.fit == "letterbox"
    assert not {"name", "labels", "input.color", "input.pad"} & found.origins.keys()


def test_a_named_head_is_not_probed(tmp_path: Path) -> None:
    found = described(answers({"output": rows(CELLS, 7, 2)}), tmp_path, head="yolo_v5")
    assert found.card.head == "yolo_v5"
    with pytest.raises(ModelCardError, match="head"):
        described(answers({"output": rows(CELLS, 7, 2)}), tmp_path, head="yolo_v99")


def test_a_classifier_that_wants_raw_pixels_is_found_out(tmp_path: Path) -> None:
    found = described(color_classifier(WEIGHTS, producer="pytorch"), tmp_path)
    assert found.card.head == "classifier"
    assert found.card.input.scale == 1
    assert found.card.input.mean == ()
    assert found.card.input.color == "bgr"
    assert "probed" in found.origins["input.scale"]


def test_a_classifier_that_wants_the_unit_range_is_left_with_it(tmp_path: Path) -> None:
    found = described(color_classifier(255 * WEIGHTS, producer="pytorch"), tmp_path)
    assert found.card.input.scale == pytest.approx(1 / 255)
    assert found.card.input.color == "rgb"
    assert found.card.input.std == pytest.approx((0.229, 0.224, 0.225))


def test_a_range_that_is_written_down_is_not_probed(tmp_path: Path) -> None:
    written = {"Image.NominalPixelRange": "Normalized_0_1", "Image.BitmapPixelFormat": "Rgb8"}
    found = described(color_classifier(WEIGHTS, metadata=written), tmp_path)
    assert found.card.input.scale == pytest.approx(1 / 255)
    assert found.card.input.mean == ()
    assert "NominalPixelRange" in found.origins["input.scale"]
    card = {"input": {"scale": 1 / 255}}
    assert described(color_classifier(WEIGHTS), tmp_path, **card).card.input.scale < 1


@pytest.mark.parametrize("part", ["mean", "std"])
def test_a_card_that_gives_half_of_the_range_is_not_probed_either(
    tmp_path: Path, part: str
) -> None:
    found = described(color_classifier(WEIGHTS), tmp_path, input={part: (0.5, 0.5, 0.5)})
    assert found.card.input.scale == pytest.approx(1 / 255)
    assert getattr(found.card.input, part) == pytest.approx((0.5, 0.5, 0.5))
    assert "input.scale" not in found.origins


def test_metadata_beside_the_model_count_too(tmp_path: Path) -> None:
    (tmp_path / "metadata_properties.json").write_text(
        '{"Image.BitmapPixelFormat": "Rgb8", "Image.NominalPixelRange": "Normalized_1_1"}'
    )
    found = described(color_classifier(WEIGHTS), tmp_path)
    assert found.card.input.scale == pytest.approx(1 / 127.5)
    assert found.card.input.mean == (1,)


@pytest.mark.parametrize("softmax", [True, False])
def test_whether_a_softmax_is_in_the_graph_is_probed(tmp_path: Path, softmax: bool) -> None:
    found = described(color_classifier(WEIGHTS, softmax=softmax), tmp_path)
    assert found.card.output.activation == ("none" if softmax else "softmax")
    assert not found.card.output.multilabel


def test_classes_that_do_not_sum_to_one_are_judged_each(tmp_path: Path) -> None:
    model = answers({"scores": np.array([[0.9, 0.8, 0.1]])}, input_shape=(1, 3, 32, 32))
    found = described(model, tmp_path)
    assert found.card.output.activation == "none"
    assert found.card.output.multilabel


def test_custom_vision_labels_are_those_of_the_zipmap_in_its_order(tmp_path: Path) -> None:
    labels = ("nut", "bolt", "Negative")
    found = described(named_classes(labels, WEIGHTS), tmp_path)
    assert found.card.head == "custom_vision_classification"
    assert found.card.labels == labels
    assert (found.card.input.color, found.card.input.scale) == ("bgr", 1)
    assert found.card.input.fit == "stretch"


@pytest.mark.parametrize(
    ("shape", "color"),
    [((1, 1, 32, 32), "gray"), ((1, 32, 32, 1), "gray"), ((1, 32, 32, 3), "rgb")],
)
def test_channels_are_counted_wherever_they_are(
    tmp_path: Path, shape: tuple[int, ...], color: str
) -> None:
    model = answers({"scores": np.array([[0.9, 0.1]])}, input_shape=shape)
    assert described(model, tmp_path).card.input.color == color


def test_damaged_metadata_are_passed_over(tmp_path: Path) -> None:
    for names in ("{0: 'bolt'", "{1: 'bolt'}", "7", "__import__('os')", "[" * 100_000):
        model = answers(
            {"output": np.zeros((1, 5, CELLS))},
            metadata={"names": names, "task": "detect", "imgsz": "sixty"},
        )
        assert described(model, tmp_path).card.labels == ()


def test_a_model_with_two_inputs_is_refused(tmp_path: Path) -> None:
    model = answers({"output": np.zeros((1, 5, CELLS))})
    size = onnx.helper.make_tensor_value_info("size", onnx.TensorProto.INT64, [1, 2])
    model.graph.input.append(size)
    with pytest.raises(ModelCardError, match="2 inputs"):
        described(model, tmp_path)


def test_a_whole_card_is_taken_as_it_is(tmp_path: Path) -> None:
    path = saved(answers({"output": np.zeros((1, 6, CELLS))}), tmp_path / "model.onnx")
    card = read(path, labels=["a", "b"]).card
    again = read(path, **card.model_dump())
    assert again.card == card
    assert isinstance(again.card, ModelCard)
    assert again.origins == {}


def test_a_yolo_v5_export_with_names_and_no_task_is_read(tmp_path: Path) -> None:
    written = {"names": "['bolt', 'nut']", "stride": "32"}
    found = described(answers({"output0": rows(3 * CELLS, 7, SIDE)}, metadata=written), tmp_path)
    assert (found.card.head, found.card.labels) == ("yolo_v5", ("bolt", "nut"))


def test_labels_of_another_model_leave_the_head_to_complain(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("only one")
    found = described(answers({"output0": np.zeros((1, 6, CELLS))}), tmp_path)
    assert found.card.head == "yolo_v8"
    assert found.card.labels == ("only one",)


def test_an_input_of_bytes_takes_pixels_as_they_are(tmp_path: Path) -> None:
    model = answers({"scores": np.array([[0.9, 0.1]])})
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    cast = onnx.helper.make_node("Cast", ["images"], ["floats"], to=onnx.TensorProto.FLOAT)
    model.graph.node[0].input[0] = "floats"
    model.graph.node.insert(0, cast)
    found = described(model, tmp_path)
    assert (found.card.input.scale, found.card.input.mean) == (1, ())


def test_a_mean_for_three_channels_of_one_is_refused_by_field(tmp_path: Path) -> None:
    model = answers({"scores": np.array([[0.9, 0.1]])}, input_shape=(1, 1, 32, 32))
    with pytest.raises(ModelCardError, match="mean has 3 numbers for 1 channels"):
        described(model, tmp_path, input={"mean": [0.5, 0.5, 0.5]})


def test_a_stated_activation_and_range_are_not_probed(tmp_path: Path) -> None:
    given = {"head": "classifier", "input": {"scale": 1.0}, "output": {"activation": "none"}}
    found = described(color_classifier(WEIGHTS, softmax=False), tmp_path, **given)
    assert found.card.output.activation == "none"
    assert "output.activation" not in found.origins

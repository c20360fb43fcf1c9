from typing import Any

import numpy as np
import pytest

from visionedge.entities import Classification
from visionedge.errors import ModelCardError, ModelRunError
from visionedge.inference.boxes import Limits
from visionedge.inference.card import validated
from visionedge.inference.geometry import place
from visionedge.inference.registry import build_adapter
from visionedge.inference.tensors import Outputs, Signature, TensorSpec

LIMITS = Limits(floor=0.1, nms_iou=0.5, max_detections=10)
GEOMETRY = place("stretch", (8, 8), (8, 8)).geometry
FLOAT = np.dtype("float32")


def classify(outputs: Outputs, head: str = "classifier", **fields: Any) -> Classification:  # noqa: ANN401 - any field
    specs = tuple(
        TensorSpec(f"out{i}", (), None)
        if isinstance(o, list)
        else TensorSpec(f"out{i}", o.shape, o.dtype if o.dtype.kind == "f" else None)
        for i, o in enumerate(outputs)
    )
    card = validated({"name": "m", "head": head, **fields}, "test")
    signature = Signature((TensorSpec("data", (1, 3, 8, 8), FLOAT),), specs)
    found = build_adapter(card, signature, LIMITS).decode(outputs, GEOMETRY)
    assert isinstance(found, Classification)
    return found


def activation(name: str, multilabel: bool = False) -> dict[str, Any]:
    return {"activation": name, "multilabel": multilabel}


@pytest.mark.parametrize("shape", [(3,), (1, 3), (1, 3, 1, 1), (1, 1, 1, 3)])
def test_one_number_a_class_however_it_is_wrapped(shape: tuple[int, ...]) -> None:
    out = np.array([0.2, 0.7, 0.1], np.float32).reshape(shape)
    found = classify([out], labels=["a", "b", "c"], output=activation("none"))
    assert found.confidence == pytest.approx([0.2, 0.7, 0.1])
    assert [(found.label(i), round(c, 3)) for i, c in found.top(2)] == [("b", 0.7), ("a", 0.2)]
    assert not found.multilabel


def test_logits_become_probabilities() -> None:
    out = np.log(np.array([[0.2, 0.7, 0.1]], np.float32)) + 5
    found = classify([out], labels=["a", "b", "c"], output=activation("softmax"))
    assert found.confidence == pytest.approx([0.2, 0.7, 0.1], abs=1e-6)


def test_independent_logits_become_probabilities_each() -> None:
    out = np.array([[0.0, np.log(3)]], np.float32)
    found = classify([out], labels=["a", "b"], output=activation("sigmoid", multilabel=True))
    assert found.confidence == pytest.approx([0.5, 0.75])
    assert found.multilabel


def test_one_number_with_two_labels_is_the_second_one() -> None:
    out = np.array([[0.9]], np.float32)
    found = classify([out], labels=["fake", "real"], output=activation("none"))
    assert found.confidence == pytest.approx([0.1, 0.9])
    assert not found.multilabel


def test_one_number_with_one_label_stands_for_itself() -> None:
    found = classify([np.array([[0.9]], np.float32)], labels=["real"], output=activation("none"))
    assert found.confidence == pytest.approx([0.9])
    assert found.multilabel


def test_temperature_makes_a_classifier_humbler() -> None:
    out = np.array([[4.0, 0.0]], np.float32)
    sure = classify([out], labels=["a", "b"], output=activation("softmax"))
    humble = classify([out], labels=["a", "b"], output=activation("softmax"), temperature=4.0)
    assert sure.confidence[0] == pytest.approx(1 / (1 + np.exp(-4)), abs=1e-6)
    assert humble.confidence[0] == pytest.approx(1 / (1 + np.exp(-1)), abs=1e-6)


def test_half_precision_scores_are_read() -> None:
    out = np.array([[0.2, 0.8]], np.float16)
    assert classify([out], labels=["a", "b"], output=activation("none")).confidence.dtype == FLOAT


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["none", "softmax", "sigmoid"])
def test_a_score_that_is_not_finite_is_an_error(bad: float, name: str) -> None:
    with pytest.raises(ModelRunError, match="finite"):
        classify([np.array([[0.2, bad]], np.float32)], labels=["a", "b"], output=activation(name))


def test_logits_read_as_probabilities_are_an_error() -> None:
    with pytest.raises(ModelRunError, match=r"output\.activation"):
        classify([np.array([[3.0, -1.0]], np.float32)], output=activation("none"))


def test_labels_must_be_as_many_as_classes() -> None:
    out = np.array([[0.2, 0.8]], np.float32)
    with pytest.raises(ModelCardError, match="3 labels for a model with 2 classes"):
        classify([out], labels=["a", "b", "c"])


def test_an_output_without_classes_is_an_error() -> None:
    card = validated({"name": "m", "head": "classifier"}, "test")
    free = Signature(
        (TensorSpec("data", (1, 3, 8, 8), FLOAT),), (TensorSpec("out", (None, None), FLOAT),)
    )
    adapter = build_adapter(card, free, LIMITS)
    for shape in [(1, 0), (2, 3), (1, 3, 4)]:
        with pytest.raises(ModelRunError):
            adapter.decode([np.zeros(shape, np.float32)], GEOMETRY)


def custom_vision(scores: dict[str, float], labels: list[str], **output: Any) -> Classification:  # noqa: ANN401 - any field
    best = np.array([["dog"]], dtype=object)
    return classify([best, [scores]], "custom_vision_classification", labels=labels, output=output)


def test_custom_vision_scores_are_in_the_order_of_the_labels() -> None:
    found = custom_vision({"Negative": 0.1, "cat": 0.2, "dog": 0.7}, ["cat", "dog", "Negative"])
    assert found.confidence == pytest.approx([0.2, 0.7, 0.1])
    assert found.top(1)[0][0] == 1


def test_custom_vision_multilabel_scores_need_no_sum() -> None:
    found = custom_vision({"a": 0.9, "b": 0.8}, ["a", "b"], multilabel=True)
    assert found.multilabel
    assert found.confidence == pytest.approx([0.9, 0.8])


def test_custom_vision_labels_must_be_the_models() -> None:
    with pytest.raises(ModelRunError, match="labels"):
        custom_vision({"cat": 1.0, "dog": 0.0}, ["cat", "hound"])
    with pytest.raises(ModelCardError, match=r"labels\.txt"):
        custom_vision({"cat": 1.0}, [])


def test_custom_vision_nan_is_an_error() -> None:
    with pytest.raises(ModelRunError, match="finite"):
        custom_vision({"cat": float("nan"), "dog": 0.5}, ["cat", "dog"])


def test_labels_are_counted_behind_a_free_batch_dimension() -> None:
    card = validated({"name": "m", "head": "classifier", "labels": ["a"]}, "test")
    free = Signature(
        (TensorSpec("data", (None, 3, 8, 8), FLOAT),), (TensorSpec("out", (None, 7), FLOAT),)
    )
    with pytest.raises(ModelCardError, match="1 labels for a model with 7 classes"):
        build_adapter(card, free, LIMITS)

"""Every head against graphs with the true exporter's signature, figures computed by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.inference.graphs import saved
from tests.inference.head_goldens import Golden, goldens

from visionedge.entities import Classification, Detections
from visionedge.inference.model import load_model
from visionedge.inference.registry import FORMATS, TASKS
from visionedge.settings import ModelSettings

GOLDENS = goldens()
PICTURE = np.random.default_rng(3)


def test_every_head_has_a_golden_folder_and_every_folder_a_head() -> None:
    assert {golden.head for golden in GOLDENS} == FORMATS.keys()


@pytest.mark.parametrize("golden", GOLDENS, ids=lambda golden: golden.name)
def test_an_export_gives_what_was_computed_by_hand_with_no_card(
    golden: Golden, tmp_path: Path
) -> None:
    path = saved(golden.model(), tmp_path / "model.onnx")
    if labels := golden.document.get("labels"):
        (tmp_path / "labels.txt").write_text("\n".join(labels))
    model = load_model(path, ModelSettings(path="unused"))
    assert model.card.head == golden.head
    width, height = golden.document["frame"]
    picture = PICTURE.integers(0, 256, (height, width, 3), dtype=np.uint8)
    found = model.runner().infer(picture)
    expected = golden.document["expected"]
    if isinstance(found, Classification):
        by_name = dict(zip(found.labels, found.confidence.tolist(), strict=True))
        assert by_name == pytest.approx(expected, abs=1e-4)
        assert found.hot.tolist() == golden.document.get("hot", [])
    else:
        assert as_boxes(found) == [approximately(box) for box in expected]


@pytest.mark.parametrize("golden", GOLDENS, ids=lambda golden: golden.name)
def test_what_an_export_tells_stands_in_its_card(golden: Golden, tmp_path: Path) -> None:
    told = golden.document.get("told", {})
    card = load_model(
        saved(golden.model(), tmp_path / "model.onnx"), ModelSettings(path="unused")
    ).card
    fields = {f"{part}.{leaf}": value for part, leaf, value in leaves(card.model_dump())}
    assert {field: fields[field] for field in told} == told


def leaves(document: dict[str, Any]) -> list[tuple[str, str, Any]]:
    parts = {part: value for part, value in document.items() if isinstance(value, dict)}
    return [(part, leaf, value) for part, of in parts.items() for leaf, value in of.items()]


def as_boxes(found: Detections) -> list[dict[str, Any]]:
    return [
        {
            "label": found.label(i),
            "confidence": float(found.confidence[i]),
            "xyxy": found.xyxy[i].tolist(),
        }
        for i in range(len(found))
    ]


def approximately(box: dict[str, Any]) -> dict[str, Any]:
    return {
        "label": box["label"],
        "confidence": pytest.approx(box["confidence"], abs=1e-4),
        "xyxy": pytest.approx(box["xyxy"], abs=1e-3),
    }


def test_the_registry_says_of_each_head_what_its_own_file_says() -> None:
    assert {head: FORMATS[head].head for head in FORMATS} == {head: head for head in FORMATS}
    assert {head: FORMATS[head].task for head in FORMATS} == TASKS

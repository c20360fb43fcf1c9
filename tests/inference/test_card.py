import json
from pathlib import Path
from typing import Any

import pytest

from visionedge.errors import ModelCardError
from visionedge.inference.card import ModelCard, read_document, read_labels, validated
from visionedge.inference.registry import FORMATS

SMALL = {"name": "m", "head": "yolo_v8"}


def test_a_short_card_is_enough() -> None:
    card = validated(SMALL, "model.json")
    assert card.task == "detection"
    assert card.input.fit == "letterbox"
    assert card.temperature == 1


def test_a_card_survives_its_own_json() -> None:
    card = validated({**SMALL, "labels": ["a"], "input": {"mean": [0.5]}}, "model.json")
    assert validated(json.loads(card.model_dump_json()), "model.json") == card


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"heads": "yolox"}, "heads"),
        ({"head": "yolo_v9"}, "head"),
        ({"task": "classification"}, "yolo_v8 is for detection"),
        ({"input": {"colour": "rgb"}}, "input.colour"),
        ({"input": {"scale": 0}}, "input.scale"),
        ({"input": {"scale": "NaN"}}, "input.scale"),
        ({"input": {"mean": [0.1, 0.2]}}, "mean has 2 numbers for 3 channels"),
        ({"input": {"color": "gray", "std": [1, 1, 1]}}, "std has 3 numbers for 1 channels"),
        ({"input": {"std": [0]}}, "std must be above 0"),
        ({"input": {"resize_px": 256}}, "resize_px"),
        ({"output": {"strides": []}}, "output.strides"),
        ({"temperature": 0}, "temperature"),
        ({"sha256": "abc"}, "sha256"),
        ({"card": "model-card/2"}, "card"),
        ({"name": ""}, "name"),
    ],
)
def test_a_wrong_field_is_named_with_its_file(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ModelCardError) as caught:
        validated({**SMALL, **fields}, "some/model.json")
    assert named in str(caught.value)
    assert "some/model.json" in str(caught.value)
    assert caught.value.hint


def test_every_field_says_what_it_is() -> None:
    schema = ModelCard.model_json_schema()
    parts = [schema, *schema["$defs"].values()]
    fields = {name: field for part in parts for name, field in part["properties"].items()}
    assert [n for n, f in fields.items() if not (f.get("title") and f.get("description"))] == []


def test_every_head_can_be_named_in_a_card() -> None:
    for head in FORMATS:
        assert validated({"name": "m", "head": head}, "model.json").head == head


@pytest.mark.parametrize("content", ["", "[1]", '"x"', "{", "{'a': 1}"])
def test_a_card_that_is_no_json_object_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "model.json"
    path.write_text(content)
    with pytest.raises(ModelCardError, match=r"model\.json"):
        read_document(path)


def test_a_card_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelCardError, match="cannot read"):
        read_document(tmp_path / "missing.json")
    binary = tmp_path / "model.json"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelCardError, match="UTF-8"):
        read_document(binary)
    binary.write_bytes(b" " * (4 * 1024**2 + 1))
    with pytest.raises(ModelCardError, match="larger"):
        read_document(binary)


def test_labels_are_lines_with_or_without_an_end(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    for text in ("cat\ndog", "cat\ndog\n", "cat\r\ndog\r\n\r\n", "\ufeffcat\n dog \n"):
        path.write_text(text, encoding="utf-8")
        assert read_labels(path) == ("cat", "dog")
    path.write_text("\n\n")
    with pytest.raises(ModelCardError, match="no label"):
        read_labels(path)

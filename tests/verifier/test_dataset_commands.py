"""`verifier export`: from what the worker keeps to a set that others read."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.cloud import META, body, jpeg
from tests.support.vision_stub import Reply, serving
from tests.verifier.test_settings import ENVIRONMENT, document

from verifier.__main__ import main
from verifier.build import build
from verifier.core import Kind
from verifier.errors import SettingsRefused
from verifier.hosts.shelves import shelf_of
from verifier.settings import parse_settings
from verifier.stores.blob_shelf import BlobShelf
from verifier.stores.memory import MemoryStore
from visionedge.evaluation.formats import read_dataset

SEEN = {
    "iteration": "7",
    "predictions": [
        {
            "tagName": "Laptop",
            "probability": 0.9,
            "boundingBox": {"left": 0.25, "top": 0.5, "width": 0.5, "height": 0.5},
        }
    ],
}
TEN_YEARS_S = 10 * 365 * 86_400


def settings(tmp_path: Path, endpoint: str = "https://v.example") -> dict[str, Any]:
    kind = {"kind": "customvision", "project_id": "p", "published_name": "i"}
    return document(endpoint, **kind) | {"dataset": {"folder": str(tmp_path / "samples")}}


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The settings file of a worker that has verified two escalations."""
    with serving(Reply(200, SEEN)) as stub:
        told = settings(tmp_path, stub.endpoint)
        parsed = parse_settings(told)
        shelf = shelf_of(parsed, ENVIRONMENT)
        built = build(parsed, ENVIRONMENT, MemoryStore(), shelf=shelf)
        for shade, id_ in enumerate(("a", "b")):
            message = body(id_, picture=jpeg(shade=shade), ttl_s=TEN_YEARS_S)
            assert built.core.handle(message, META).kind is Kind.VERIFIED
    path = tmp_path / "verifier.json"
    path.write_text(json.dumps(told))
    return path


def test_what_a_worker_kept_is_exported(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "set"
    assert main(["export", "--settings", str(kept), "--format", "coco", "--out", str(out)]) == 0
    assert capsys.readouterr().out.startswith("2 pictures, 2 objects, 1 classes")
    dataset = read_dataset(out)
    assert dataset.names == ("laptop",)
    for picture in dataset.pictures:
        assert picture.xyxy is not None
        assert picture.xyxy.tolist() == [[16, 24, 48, 48]]


@pytest.mark.parametrize(
    ("option", "pictures"),
    [
        (["--device", "line-1"], 2),
        (["--device", "line-2"], 0),
        (["--agreement", "reject"], 0),
        (["--agreement", "correct"], 2),
        (["--until", "2020-01-01"], 0),
        (["--since", "2020-01-01T00:00+01:00"], 2),
    ],
)
def test_what_is_exported_can_be_chosen(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: list[str], pictures: int
) -> None:
    arguments = ["export", "--settings", str(kept), "--format", "yolo", "--out"]
    assert main([*arguments, str(tmp_path / "set"), *option]) == 0
    assert capsys.readouterr().out.startswith(f"{pictures} pictures")


def test_an_export_that_cannot_be_is_refused_with_the_way_out(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["export", "--settings", str(kept), "--format", "coco", "--out", str(tmp_path)]
    assert main(arguments) == 2
    assert "not an empty folder" in capsys.readouterr().err
    kept.write_text(json.dumps(document()))
    assert main(arguments) == 2
    assert "give a container or a folder" in capsys.readouterr().err


def test_samples_go_to_one_place_that_is_there(tmp_path: Path) -> None:
    both = settings(tmp_path)
    both["dataset"]["container"] = "samples"
    with pytest.raises(SettingsRefused, match="not both"):
        shelf_of(parse_settings(both), ENVIRONMENT)
    without = document() | {"dataset": {"container": "samples"}}
    with pytest.raises(SettingsRefused, match="account_url"):
        shelf_of(parse_settings(without), ENVIRONMENT)
    account = {"account_url": "https://name.blob.core.windows.net"}
    shelf = shelf_of(parse_settings(without | {"store": account}), ENVIRONMENT)
    assert isinstance(shelf, BlobShelf)
    assert shelf_of(parse_settings(document()), ENVIRONMENT) is None

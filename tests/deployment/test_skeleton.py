"""What is of the wrong kind in a manifest is named by its path, and nothing else is looked at."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from visionedge.__main__ import main
from visionedge.deployment.skeleton import misshapen

ROOT = Path(__file__).parents[2]
AGENT = "modulesContent.$edgeAgent.properties.desired"
HUB = "modulesContent.$edgeHub.properties.desired"
WRONG: dict[str, object] = {
    "modulesContent": [],
    "modulesContent.$edgeHub": 1,
    AGENT: None,
    f"{AGENT}.modules": "text",
    f"{AGENT}.systemModules": [],
    f"{AGENT}.modules.visionedge": None,
    f"{HUB}.routes": True,
    f"{HUB}.routes.telemetry": {"route": []},
    f"{HUB}.routes.health": None,
    "modulesContent.visionedge": "text",
    "modulesContent.visionedge.properties.desired": [],
}


@pytest.fixture
def template() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((ROOT / "deployment.template.json").read_text())
    return document


def put(document: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    *way, last = path.replace("properties.desired", "properties/desired").split(".")
    target = changed
    for name in way:
        target = target[name.replace("/", ".")]
    assert last.replace("/", ".") in target
    target[last.replace("/", ".")] = value
    return changed


@pytest.mark.parametrize("path", WRONG)
def test_what_is_of_the_wrong_kind_is_named_by_its_path(
    path: str, template: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "deployment.template.json"
    file.write_text(json.dumps(put(template, path, WRONG[path])))
    assert main(["manifest", str(file)]) == 2
    assert f"  {path}: " in capsys.readouterr().err


def test_a_manifest_to_compare_with_is_looked_at_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("ADDRESS", "USERNAME", "PASSWORD"):
        monkeypatch.setenv(f"CONTAINER_REGISTRY_{name}", "x")
    running = tmp_path / "running.json"
    running.write_text('{"modulesContent": {"$edgeAgent": null}}')
    assert main(["manifest", str(ROOT / "deployment.template.json"), "--diff", str(running)]) == 2
    assert f"{running} is no deployment manifest" in capsys.readouterr().err


@pytest.mark.parametrize("file", sorted((ROOT / "deploy").rglob("*.template.json")))
def test_the_templates_have_the_shape(file: Path) -> None:
    assert [*misshapen(json.loads(file.read_text()))] == []


def test_a_dotted_name_of_a_layer_is_looked_at() -> None:
    layer = {
        "modulesContent": {
            "$edgeAgent": {"properties.desired.modules.grabber": []},
            "$edgeHub": {"properties.desired.routes.frames": 3},
            "visionedge": {"properties.desired.cameras": 3},
        }
    }
    assert [line.partition(": ")[0] for line in misshapen(layer)] == [
        f"{AGENT}.modules.grabber",
        f"{HUB}.routes.frames",
    ]


def test_a_module_file_without_an_image_is_named(
    tmp_path: Path, template: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "modules" / "mine" / "module.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"image": {"repository": "r"}}')
    (tmp_path / "t.json").write_text(json.dumps(template))
    assert main(["manifest", str(tmp_path / "t.json")]) == 2
    assert f"{file} names no image" in capsys.readouterr().err

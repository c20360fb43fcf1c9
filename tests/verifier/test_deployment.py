"""What is deployed is whole: the image's files, the example settings, the infra, the pages."""

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from verifier.__main__ import main
from verifier.backends.registry import BACKENDS
from verifier.build import build
from verifier.settings import parse_settings
from verifier.stores.memory import MemoryStore

ROOT: Final = Path(__file__).parents[2]


def dockerfile(instruction: str) -> list[list[str]]:
    """The arguments of each such line, of both stages."""
    text = (ROOT / "cloud/Dockerfile").read_text().replace("\\\n", " ")
    lines = re.findall(rf"^{instruction} (.*)$", text, re.MULTILINE)
    return [line.split() for line in lines]


def copied() -> list[str]:
    return [
        path
        for words in dockerfile("COPY")
        if not words[0].startswith("--from")
        for path in words[:-1]
    ]


def test_the_image_copies_what_is_there_and_may_be_sent_to_the_build() -> None:
    allowed = (ROOT / "cloud/Dockerfile.dockerignore").read_text().split()
    assert copied()
    for path in copied():
        assert (ROOT / path).exists()
        assert f"!{path}" in allowed


def test_the_image_runs_without_rights() -> None:
    assert dockerfile("USER") == [["65532:65532"]]


def test_the_verifier_stands_on_the_files_of_its_image_alone(tmp_path: Path) -> None:
    for path in copied():
        if path.startswith("requirements"):
            continue
        target = tmp_path / Path(path).relative_to(Path(path).parts[0])
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / path).is_dir() else shutil.copy
        copy(ROOT / path, target)
    script = (
        "import sys, verifier, visionedge; from verifier.__main__ import main;"
        f"assert verifier.__file__.startswith({str(tmp_path)!r}), verifier.__file__;"
        "print(sorted(m for m in sys.modules if m.startswith('visionedge')));"
        "sys.exit(main(['cost', '--devices', '1', '--rate', '1']))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    listed = ast.literal_eval(done.stdout.splitlines()[0])
    assert {name.split(".")[1] for name in listed if "." in name} == {
        "wire",
        "datasets",
        "refusals",
    }


def test_the_example_settings_build_a_worker() -> None:
    document = json.loads((ROOT / "cloud/verifier.example.json").read_text())
    built = build(parse_settings(document), {"CUSTOM_VISION_KEY": "k"}, MemoryStore())
    assert {route.backend.name for route in built.core.routes.values()} == {"ia40", "customvision"}


def test_the_settings_on_the_pages_build_a_worker() -> None:
    page = (ROOT / "docs/how-to/leave-a-retiring-api.md").read_text()
    blocks = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    assert blocks
    for block in blocks:
        build(parse_settings(json.loads(block)), {}, MemoryStore())


def test_the_cost_on_the_page_is_what_the_command_prints(
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = (ROOT / "docs/how-to/count-the-verifiers-cost.md").read_text()
    assert main(["cost", "--devices", "50", "--rate", "12"]) == 0
    assert f"```text\n{capsys.readouterr().out}```" in page


def test_every_vision_api_has_its_line_on_the_page() -> None:
    page = (ROOT / "docs/how-to/choose-a-vision-api.md").read_text()
    for kind in BACKENDS:
        assert page.count(f"| `{kind}` |") == 2


def test_the_functions_app_is_deployed_with_the_same_settings() -> None:
    page = (ROOT / "docs/how-to/deploy-the-verifier.md").read_text()
    source = (ROOT / "cloud/functions/function_app.py").read_text()
    for name in re.findall(r"VERIFIER_\w+", source):
        assert name.partition("__")[0] in page
    host: dict[str, Any] = json.loads((ROOT / "cloud/functions/host.json").read_text())
    assert host["extensions"]["eventHubs"]["batchCheckpointFrequency"] == 1

"""What the pages tell people to type works as they say."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from docs.generate import ROOT
from tests.deployment.manifest import own

from visionedge.deployment.manifest import unpacked
from visionedge.settings import Document, merge, resolve

HOW_TO: Final = ROOT / "docs/how-to"
_BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    text = (HOW_TO / page).read_text(encoding="utf-8")
    return [body for kind, body in _BLOCK.findall(text) if kind == language]


def patches() -> list[Document]:
    """The patches in the table of examples."""
    text = (HOW_TO / "change-settings.md").read_text(encoding="utf-8")
    return [json.loads(patch) for patch in re.findall(r"^\| [^|]+ \| `(\{.*\})` \|$", text, re.M)]


def test_the_patches_of_the_examples_are_settings() -> None:
    twin: Document = {}
    for patch in patches():
        twin = merge(twin, patch)
        resolve([twin])
    assert len(patches()) > 5


def test_the_answers_of_the_examples_are_json() -> None:
    for block in blocks("change-settings.md", "json"):
        for section in json.loads(block).values():
            assert section.keys() <= {"value", "ac", "av", "ad"}


def test_settings_that_take_effect_at_the_next_start_exist() -> None:
    text = (HOW_TO / "change-settings.md").read_text(encoding="utf-8")
    sentence = text.partition("These take effect at the next start:")[2].partition("\n\n")[0]
    shown = resolve([]).model_dump()
    names = re.findall(r"`([\w.]+)`", sentence)
    assert names
    for name in names:
        inside: Any = shown
        for part in name.split("."):
            inside = (inside if part in inside else shown["uplink"])[part]


def test_the_manifest_that_the_deployment_page_makes_is_final(tmp_path: Path) -> None:
    script = next(b for b in blocks("deploy.md", "sh") if "visionedge manifest" in b)
    words = f"ARCH=amd64 REGISTRY=r.example; cd {tmp_path}\n"
    script = script.replace(
        "visionedge manifest deployment", f"visionedge manifest {ROOT}/deployment"
    )
    folder = Path(sys.executable).parent
    subprocess.run(
        ["bash", "-euc", words + script],
        env={"PATH": f"{folder}:/usr/bin:/bin"},
        capture_output=True,
        timeout=60,
        check=True,
    )
    text = (tmp_path / "deployment.json").read_text(encoding="utf-8")
    document = unpacked(json.loads(text))
    assert "${" not in text
    assert own(document)["settings"]["image"].startswith("r.example/visionedge:")
    assert own(document)["settings"]["createOptions"]["HostConfig"]["CapDrop"] == ["ALL"]
    assert set(document) == {"modulesContent"}


def test_the_deployment_page_names_every_template() -> None:
    text = (HOW_TO / "deploy.md").read_text(encoding="utf-8")
    for path in ROOT.glob("deploy/**/*.template.json"):
        assert f"`{path.relative_to(ROOT)}`" in text
        for name in re.findall(r"\$\{([A-Z_]+)\}", path.read_text(encoding="utf-8")):
            assert name in text

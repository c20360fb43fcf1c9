"""What the pages tell people to type works as they say."""

import json
import re
import shutil
import subprocess
from typing import Any, Final

import pytest
from docs.generate import ROOT
from tests.deployment.manifest import own

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


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_the_manifest_that_the_deployment_page_makes_is_final() -> None:
    script = next(b for b in blocks("deploy.md", "sh") if "jq" in b and "tojson" in b)
    command = script.partition("jq ")[2].rpartition(" > ")[0]
    done = subprocess.run(
        ["bash", "-euc", f"ARCH=amd64 REGISTRY=r.example VERSION=1; jq {command}"],
        cwd=ROOT,
        env={
            "PATH": "/usr/bin:/bin",
            "CONTAINER_REGISTRY_ADDRESS": "r.example",
            "CONTAINER_REGISTRY_USERNAME": "u",
            "CONTAINER_REGISTRY_PASSWORD": "p$x",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    document = json.loads(done.stdout)
    assert "${" not in done.stdout
    assert own(document)["settings"]["image"] == "r.example/visionedge:1-amd64"
    options = json.loads(own(document)["settings"]["createOptions"])
    assert options["HostConfig"]["CapDrop"] == ["ALL"]
    assert set(document) == {"modulesContent"}

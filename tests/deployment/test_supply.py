"""What is installed, under which licences, and the bill of materials that says so."""

import hashlib
import json
import uuid
from pathlib import Path

import pytest
from deploy.supply.distributions import Installed, installed
from deploy.supply.licences import faults, spdx
from deploy.supply.sbom import bill, main, notices

EPOCH = "1790000000"


def package(name: str = "wheelbarrow", licence: str = "MIT") -> Installed:
    return Installed(name, "1.0", licence, (), "", (), ())


def install(site: Path, name: str, metadata: str, files: dict[str, str] | None = None) -> None:
    """Put a distribution into `site` as pip does, with its RECORD."""
    info = f"{name}-1.0.dist-info"
    texts = {f"{info}/METADATA": f"Name: {name}\nVersion: 1.0\n{metadata}\n", **(files or {})}
    for path, text in texts.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)
    record = "".join(f"{path},,\n" for path in texts)
    (site / info / "RECORD").write_text(record)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The module with one dependency that brings a library along, and one for its tests."""
    folder = tmp_path / "site"
    own = 'License-Expression: MIT\nRequires-Dist: Big_Eye>=1; extra == "edge"\n'
    install(folder, "visionedge", own + 'Requires-Dist: tester; extra == "dev"')
    install(
        folder,
        "Big_Eye",
        "License: Apache 2.0\nSummary: sees",
        {"Big_Eye-1.0.dist-info/LICENSE": "the Apache text", "big_eye.libs/libssl-1.so": "elf"},
    )
    install(folder, "tester", "License-Expression: MIT")
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """One bundle."""
    folder = tmp_path / "models"
    (folder / "belt").mkdir(parents=True)
    (folder / "belt/model.onnx").write_bytes(b"weights")
    return folder


def test_the_bill_names_packages_bundled_libraries_and_models(site: Path, models: Path) -> None:
    document = bill(installed(site, ("edge",)), site, models)
    found = {component["name"]: component for component in document["components"]}
    assert found["big-eye"]["purl"] == "pkg:pypi/big-eye@1.0"
    assert found["big-eye"]["licenses"] == [{"expression": "Apache-2.0"}]
    [library] = found["big-eye"]["components"]
    digest = hashlib.sha256(b"elf").hexdigest()
    assert library["name"] == "big_eye.libs/libssl-1.so"
    assert library["hashes"] == [{"alg": "SHA-256", "content": digest}]
    assert found["belt"]["type"] == "machine-learning-model"
    assert document["metadata"]["component"]["name"] == "visionedge"


def test_the_bill_is_whole_in_itself(site: Path, models: Path) -> None:
    document = bill(installed(site, ("edge",)), site, models)
    uuid.UUID(document["serialNumber"].removeprefix("urn:uuid:"))
    components = [document["metadata"]["component"], *document["components"]]
    refs = [component["bom-ref"] for component in components]
    refs += [inner["bom-ref"] for c in components for inner in c.get("components", [])]
    assert len(refs) == len(set(refs))
    needs = {each["ref"]: each["dependsOn"] for each in document["dependencies"]}
    assert needs["pkg:generic/visionedge@1.0"] == ["pkg:pypi/big-eye@1.0"]
    assert {ref for each in needs.values() for ref in each} <= set(refs)


def test_an_application_that_was_copied_is_billed_by_its_project(
    tmp_path: Path, site: Path
) -> None:
    (site / "verifier").mkdir()
    (site / "verifier/LICENSE").write_text("the terms of the verifier")
    project = tmp_path / "pyproject.toml"
    project.write_text(
        '[project]\nname = "visionedge"\nversion = "2.3"\nlicense = "MIT"\n'
        'dependencies = ["tester>=1"]\n'
        "[project.optional-dependencies]\n"
        'cloud = ["Big_Eye[fast]>=1,<2"]\nedge = ["wheelbarrow"]\n'
    )
    words = ["--site", str(site), "--project", str(project), "--own", "verifier"]
    assert main([*words, "--extra", "cloud", "--out", str(tmp_path / "doc")]) == 0
    document = json.loads((tmp_path / "doc/sbom.cdx.json").read_text())
    own = document["metadata"]["component"]
    assert (own["name"], own["version"], own["type"]) == ("verifier", "2.3", "application")
    assert own["licenses"] == [{"expression": "MIT"}]
    needs = {each["ref"]: each["dependsOn"] for each in document["dependencies"]}
    assert needs[own["bom-ref"]] == ["pkg:pypi/big-eye@1.0", "pkg:pypi/tester@1.0"]
    assert "the terms of the verifier" in (tmp_path / "doc/NOTICES.txt").read_text()


def test_the_same_inputs_give_the_same_files(
    site: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", EPOCH)
    written = []
    for name in ("one", "two"):
        words = ["--site", str(site), "--models", str(models), "--out", str(tmp_path / name)]
        assert main(words) == 0
        written.append([p.read_bytes() for p in sorted((tmp_path / name).iterdir())])
    assert written[0] == written[1]
    document = json.loads((tmp_path / "one/sbom.cdx.json").read_text())
    assert document["metadata"]["timestamp"] == "2026-09-21T14:13:20Z"


def test_the_notices_hold_each_licence_text_below_its_package(site: Path) -> None:
    text = notices(installed(site), site)
    assert "big-eye 1.0\nLicence: Apache-2.0\n" in text
    assert text.index("big-eye 1.0") < text.index("the Apache text") < text.index("tester 1.0")
    assert "brings no licence text" in text


@pytest.mark.parametrize(
    ("stated", "expression"),
    [
        ("MIT License", "MIT"),
        ("Apache Software License", "Apache-2.0"),
        ("BSD-3-Clause AND MIT", "BSD-3-Clause AND MIT"),
        ("Something of our own", "Something of our own"),
    ],
)
def test_a_stated_licence_becomes_an_expression_where_it_can(stated: str, expression: str) -> None:
    assert spdx(package(licence=stated)) == expression


@pytest.mark.parametrize(
    "licence",
    ["MIT", "MIT AND (Apache-2.0 OR GPL-3.0-only)", "GPL-2.0-only OR BSD-3-Clause", "apache 2"],
)
def test_permissive_licences_pass(licence: str) -> None:
    assert faults([package(licence=licence)]) == []


@pytest.mark.parametrize(
    "licence",
    ["GPL-3.0-only", "MIT AND GPL-3.0-only", "MPL-2.0", "(GPL-3.0-only) AND MIT", "Proprietary"],
)
def test_another_licence_fails_with_the_name_of_the_package(licence: str) -> None:
    [fault] = faults([package(licence=licence)])
    assert fault.startswith("wheelbarrow 1.0: ")
    assert fault.endswith("is not on the list")


def test_no_licence_at_all_fails() -> None:
    assert faults([package(licence="")]) == ["wheelbarrow 1.0 states no licence"]


def test_weak_copyleft_passes_by_name_only() -> None:
    assert faults([package("certifi", "MPL-2.0")]) == []
    assert faults([package("wheelbarrow", "MPL-2.0")]) != []

"""The audit tells vulnerabilities and licences, and says so when nothing can be known."""

import json
from pathlib import Path
from typing import Any

import pytest
from deploy.supply.audit import main

CLEAN = {"name": "idna", "version": "3.20", "vulns": []}
HOLED = {
    "name": "urllib3",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["2.0"]}],
}
SKIPPED = {"name": "numpy", "skip_reason": "not found"}


def tool(folder: Path, answers: dict[str, list[dict[str, Any]]]) -> Path:
    """A program that answers as pip-audit does, by the service that it is asked to use."""
    path = folder / "pip-audit"
    cases = "".join(
        f"*' --vulnerability-service {service}'*) cat {folder}/{service}.json ;;\n"
        for service in answers
    )
    for service, packages in answers.items():
        (folder / f"{service}.json").write_text(json.dumps({"dependencies": packages}))
    path.write_text(f'#!/bin/sh\ncase " $*" in\n{cases}*) echo no route >&2; exit 1 ;;\nesac\n')
    path.chmod(0o755)
    return path


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with one package of a good licence."""
    info = tmp_path / "site/wheelbarrow-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: wheelbarrow\nVersion: 1.0\nLicense-Expression: MIT\n")
    return tmp_path / "site"


def audit(tool: Path, site: Path) -> int:
    return main(["--tool", str(tool), "--site", str(site), "--lock", "some.txt"])


def test_all_is_well(tmp_path: Path, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(tool(tmp_path, {"pypi": [CLEAN]}), site) == 0
    out = capsys.readouterr().out
    assert "some.txt: 1 packages asked about at pypi, 0 advisories" in out
    assert "licences of 1 packages: 0 not allowed" in out


def test_a_known_vulnerability_ends_it_with_1_and_tells_the_mend(
    tmp_path: Path, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(tool(tmp_path, {"pypi": [CLEAN, HOLED, SKIPPED]}), site) == 1
    out = capsys.readouterr().out
    assert "  urllib3 1.0: PYSEC-2026-1, mended in 2.0" in out
    assert "no answer for numpy" in out


def test_another_service_is_asked_when_the_first_knows_nothing(
    tmp_path: Path, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(tool(tmp_path, {"pypi": [SKIPPED], "osv": [HOLED]}), site) == 1
    assert "asked about at osv" in capsys.readouterr().out


@pytest.mark.parametrize("answers", [{}, {"pypi": [SKIPPED], "osv": [SKIPPED]}])
def test_it_says_so_when_no_source_can_be_reached(
    tmp_path: Path,
    site: Path,
    capsys: pytest.CaptureFixture[str],
    answers: dict[str, list[dict[str, Any]]],
) -> None:
    assert audit(tool(tmp_path, answers), site) == 0
    assert "no advisory source could be reached" in capsys.readouterr().out


def test_a_tool_that_is_not_there_is_no_source(
    tmp_path: Path, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(tmp_path / "none", site) == 0
    assert "no advisory source could be reached" in capsys.readouterr().out


def test_a_licence_that_is_not_on_the_list_ends_it_with_1(
    tmp_path: Path, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metadata = next(site.glob("*/METADATA"))
    metadata.write_text(metadata.read_text().replace("MIT", "AGPL-3.0-only"))
    assert audit(tool(tmp_path, {"pypi": [CLEAN]}), site) == 1
    assert "wheelbarrow 1.0: AGPL-3.0-only is not on the list" in capsys.readouterr().out

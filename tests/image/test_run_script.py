"""run.sh and .ci/run say why they cannot go on, before they have done anything."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("run.sh")
CI = SCRIPT.parents[2] / ".ci/run"
SKIPPED = 77


def run(store: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run the script with a store of its own."""
    variables = {**os.environ, "IMAGE_STORE": str(store), **environment}
    return subprocess.run(
        ["bash", str(SCRIPT)], env=variables, capture_output=True, text=True, timeout=60
    )


def test_a_short_disk_ends_it_with_one_clear_line(tmp_path: Path) -> None:
    done = run(tmp_path / "store", IMAGE_NEED_MB="999999999")
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "MB free and 999999999 MB are needed; name another folder in IMAGE_STORE" in line
    assert str(tmp_path / "store") in line
    assert done.stdout == ""


def test_a_disk_that_is_short_for_all_of_ci_ends_it_with_one_clear_line() -> None:
    variables = {**os.environ, "CI_NEED_MB": "999999999"}
    done = subprocess.run(
        ["bash", str(CI)], env=variables, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith(f"the disk is short: {CI.parents[1]} has ")
    assert line.endswith(" MB free and 999999999 MB are needed")
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("tool", "answer", "reason"),
    [
        ("id", "1000", "containers need root here"),
        ("uname", "Darwin arm64", "this is Darwin arm64"),
    ],
)
def test_a_machine_that_cannot_do_it_is_no_failure(
    tmp_path: Path, tool: str, answer: str, reason: str
) -> None:
    stand_in = tmp_path / "bin" / tool
    stand_in.parent.mkdir()
    stand_in.write_text(f"#!/bin/sh\necho {answer}\n")
    stand_in.chmod(0o755)
    path = f"{stand_in.parent}:{os.environ['PATH']}"
    # `id` is asked only on a machine of the right kind.
    if tool == "id" and os.uname().machine != "x86_64":
        pytest.skip("the images are built on amd64 only")
    done = run(tmp_path / "store", PATH=path, IMAGE_NEED_MB="1")
    assert done.returncode == SKIPPED
    [line] = done.stderr.splitlines()
    assert line.startswith("images: skipped: ")
    assert reason in line

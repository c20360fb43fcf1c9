"""`make loop`, and `make loop KILL_AT=…`: everything ends as it should, and says so."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from loop.storage import StorageAbsent, find_azurite

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def loop(folder: Path, *arguments: str) -> str:
    """What the command prints; it must end well."""
    try:
        find_azurite(ROOT)
    except StorageAbsent as error:
        pytest.skip(str(error))
    if importlib.util.find_spec("proton") is None:
        pytest.skip("python-qpid-proton is not installed: `make proton`")
    done = subprocess.run(
        [sys.executable, "-m", "loop", "--folder", str(folder / "loop"), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def number(said: str, of: str) -> int:
    found = re.search(rf"^ *{of}  (\d+)", said, re.MULTILINE)
    assert found, said
    return int(found[1])


def test_the_whole_loop_pays_once_and_merges_once(tmp_path: Path) -> None:
    said = loop(tmp_path, "--seconds", "10")
    assert said.endswith("loop: all held\n")
    assert number(said, "delivered") >= 3
    assert number(said, "expired") >= 1
    assert number(said, "paid calls") <= number(said, "escalations")


def test_the_whole_loop_survives_the_death_of_a_worker(tmp_path: Path) -> None:
    said = loop(tmp_path, "--seconds", "12", "--kill-at", "4")
    assert "--- kill -9 verifier-1" in said
    assert said.endswith("loop: all held\n")

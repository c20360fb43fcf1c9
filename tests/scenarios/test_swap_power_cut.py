"""The power goes at a step of a swap: the next start works, and ends with the new bundle."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.bundles import zipped

pytestmark = [pytest.mark.timeout(3600), pytest.mark.slow]
KILLED = -9
PATIENCE_S = 300


class Device:
    """A folder that outlives its processes, and a bundle that is to come."""

    def __init__(self, folder: Path, bundle: Path, sha256: str) -> None:
        self.folder, self._bundle, self._sha256 = folder, bundle, sha256

    def run(self, nth: int) -> tuple[int, list[list[str]]]:
        """Let a process run until it is killed at the nth step, or ends; what it said."""
        self.folder.mkdir(exist_ok=True)
        ended = subprocess.run(
            [
                sys.executable, "-m", "tests.support.swap_crasher",
                str(self.folder), str(self._bundle), self._sha256, str(nth),
            ],
            stdout=subprocess.PIPE,
            check=False,
            timeout=PATIENCE_S,
        )  # fmt: skip
        return ended.returncode, [line.split() for line in ended.stdout.decode().splitlines()]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    path = tmp_path_factory.mktemp("bundle") / "bundle.zip"
    return path, zipped(path)


def words(said: list[list[str]], first: str) -> list[str]:
    return next((line[1:] for line in said if line[0] == first), [])


def test_a_power_cut_before_any_step_of_a_swap_leaves_a_module_that_works(
    tmp_path: Path, bundle: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    path, sha256 = bundle
    whole = Device(tmp_path / "whole", path, sha256)
    code, said = whole.run(0)
    assert code == 0, said
    steps = [line[1:] for line in said if line[0] == "step"]
    # Those before it are of the first start, not of the swap.
    first = len([line for line in said[: said.index(["runs", "1"])] if line[0] == "step"]) + 1
    assert {"slots.json.new", "bundle.part"} <= {step[2] for step in steps}
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(" ".join(step) for step in steps) + "\n")
    for nth in range(first, len(steps) + 1):
        device = Device(tmp_path / "cut", path, sha256)
        code, said = device.run(nth)
        assert code == KILLED, (nth, steps[nth - 1], said)
        code, said = device.run(0)
        assert code == 0, (nth, steps[nth - 1], said)
        active, there = words(said, "found")
        assert (active, there) in (("-", "False"), (sha256, "True")), (nth, said)
        # Before it is active the old one answers from the first frame on, after it the new one.
        assert words(said, "runs") == ["2" if active == sha256 else "1"], (nth, said)
        assert ["works"] in said
        assert words(said, "active") == ["2"]
        shutil.rmtree(device.folder)

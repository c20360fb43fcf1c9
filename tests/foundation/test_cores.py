"""Cores are those that the process may use, not those of the device."""

import os
from pathlib import Path

import pytest

from visionedge.runtime.cores import cores

NONE = Path("none-such")


def test_a_container_without_a_limit_has_what_affinity_allows(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert cores(tmp_path / "cpu.max", NONE, NONE) == len(os.sched_getaffinity(0))
    assert cores(NONE, NONE, NONE) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("text", ["100000 100000", "50000 100000", "99 100"])
def test_a_limit_of_a_core_or_less_is_one_core(tmp_path: Path, text: str) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert cores(tmp_path / "cpu.max", NONE, NONE) == 1


def test_the_older_hierarchy_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "quota").write_text("100000\n")
    (tmp_path / "period").write_text("100000\n")
    assert cores(NONE, tmp_path / "quota", tmp_path / "period") == 1
    (tmp_path / "quota").write_text("-1\n")
    everything = cores(NONE, tmp_path / "quota", tmp_path / "period")
    assert everything == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("text", ["", "many", "1 2 3", "0 0", "\udcff"])
def test_a_file_that_says_nothing_is_no_limit(tmp_path: Path, text: str) -> None:
    (tmp_path / "cpu.max").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert cores(tmp_path / "cpu.max", NONE, NONE) == len(os.sched_getaffinity(0))

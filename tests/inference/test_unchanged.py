"""What was read is remembered until the file is another."""

import os
from pathlib import Path

import pytest

from visionedge.inference.unchanged import while_unchanged

_LATER_NS = 10**9


class Reader:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self, path: Path) -> str:
        self.times += 1
        return path.read_text(encoding="utf-8")


def test_a_file_that_stays_as_it_is_is_read_once(tmp_path: Path) -> None:
    path, reader = tmp_path / "file", Reader()
    path.write_text("first")
    read = while_unchanged(reader)
    assert (read(path), read(path), reader.times) == ("first", "first", 1)


def test_a_file_that_was_written_anew_is_read_anew(tmp_path: Path) -> None:
    path, reader = tmp_path / "file", Reader()
    path.write_text("first")
    read = while_unchanged(reader)
    assert read(path) == "first"
    path.write_text("other")
    os.utime(path, ns=(0, path.stat().st_mtime_ns + _LATER_NS))
    assert read(path) == "other"


def test_a_file_that_took_the_place_of_another_of_the_same_age_is_read(tmp_path: Path) -> None:
    path, fresh, reader = tmp_path / "file", tmp_path / "fresh", Reader()
    path.write_text("first")
    read = while_unchanged(reader)
    assert read(path) == "first"
    fresh.write_text("other")
    was = path.stat().st_mtime_ns
    os.utime(fresh, ns=(was, was))
    fresh.replace(path)
    assert read(path) == "other"


def test_what_cannot_be_read_is_tried_again(tmp_path: Path) -> None:
    path, read = tmp_path / "file", while_unchanged(Reader())
    with pytest.raises(FileNotFoundError):
        read(path)
    path.write_text("first")
    assert read(path) == "first"

"""What a command writes to is made sure of before its work."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from visionedge.commands import places
from visionedge.errors import SettingsError


def test_a_folder_is_made_and_stays_empty(tmp_path: Path) -> None:
    assert places.folder(tmp_path / "a" / "b", "--out").is_dir()
    assert not list((tmp_path / "a" / "b").iterdir())


def test_a_file_is_not_made_and_not_emptied(tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    kept.write_text("1")
    places.file(kept, "--out")
    places.file(tmp_path / "new.json", "--out")
    assert kept.read_text() == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["kept.json"]


def test_a_free_place_has_its_folders_and_nothing_in_them(tmp_path: Path) -> None:
    place = places.free(tmp_path / "a" / "b", "--to")
    assert place.parent.is_dir()
    assert not list(place.parent.iterdir())


def test_what_cannot_be_written_is_named_by_its_option(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    with pytest.raises(SettingsError, match=r"--out: cannot write .*taken: File exists"):
        places.folder(taken, "--out")
    with pytest.raises(SettingsError, match=r"--out: cannot write .*: Not a directory"):
        places.file(taken / "x.json", "--out")
    with pytest.raises(SettingsError, match=r"--out: cannot write .*: No such file or directory"):
        places.file(tmp_path / "none" / "x.json", "--out")
    with pytest.raises(SettingsError, match=r"--to: .*taken is there already"):
        places.free(taken, "--to")
    with pytest.raises(SettingsError, match=r"--to: cannot write"):
        places.free(taken / "x", "--to")


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"--plot: .*x\.svg: it does not end in \.png"):
        places.file(tmp_path / "x.svg", "--plot", ".png")


def test_a_full_disk_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept.json"
    places.write(kept, "--out", "old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for path in (kept, tmp_path / "new.json"):
        with pytest.raises(SettingsError, match=r"--out: cannot write .*: No space left on device"):
            places.write(path, "--out", "new")
    assert kept.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["kept.json"]


def test_a_link_stays_one_and_a_device_stays_one(tmp_path: Path) -> None:
    link, target = tmp_path / "link", tmp_path / "target"
    target.write_text("old")
    link.symlink_to(target)
    places.write(link, "--out", "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    places.write(Path("/dev/null"), "--out", "gone")
    assert Path("/dev/null").is_char_device()


def test_the_output_that_goes_to_a_file_is_written_on(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from visionedge.commands import places\n"
        "places.write(Path('/dev/stdout'), '--out', 'first\\n'); print('second')"
    )
    out = tmp_path / "out"
    with out.open("a") as file:
        subprocess.run([sys.executable, "-c", code], stdout=file, check=True, timeout=60)
    assert out.read_text() == "first\nsecond\n"

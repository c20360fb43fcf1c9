"""What the runs are told is made sure of, and nobody's folder is emptied."""

import argparse
from pathlib import Path

import pytest

import demo.__main__ as demo
from demo import soak
from demo.room import Unusable, emptied, made, seconds


def test_only_the_folder_of_an_earlier_run_is_emptied(tmp_path: Path) -> None:
    folder = emptied(tmp_path / "a" / "b", "mark")
    (folder / "mark").touch()
    (folder / "spool.db").touch()
    assert not [*emptied(folder, "mark").iterdir()]
    (folder / "thesis.tex").touch()
    with pytest.raises(Unusable, match="not of an earlier run; name another"):
        emptied(folder, "mark")
    assert (folder / "thesis.tex").exists()


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(Unusable, match=f"{folder} cannot be made: "):
            made(folder)


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "soon", ""])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="no time: give seconds, 0 or more"):
        seconds(text)


def test_soak_leaves_a_folder_of_somebody_else_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").touch()
    assert soak.main(["--seconds", "1", "--folder", str(tmp_path)]) == 2
    assert "soak: " in (said := capsys.readouterr().err)
    assert "is not empty" in said
    assert (tmp_path / "thesis.tex").exists()


def test_soak_says_where_it_is_to_be_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert soak.main(["--seconds", "1"]) == 2
    assert "there is no models/pcb-defects here" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_a_run_that_cannot_begin_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert demo.main(["--folder", str(tmp_path / "file")]) == 2
    assert "make run: " in (said := capsys.readouterr().err)
    assert "cannot be made" in said
    assert demo.main(["--folder", str(tmp_path), "--source", str(tmp_path / "belt.mp4")]) == 2
    assert f"make run: there is no {tmp_path / 'belt.mp4'}" in capsys.readouterr().err


def test_a_module_that_does_not_start_is_told_of_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "none"
    assert demo.main(["--folder", str(tmp_path), "--model", str(model)]) == 2
    captured = capsys.readouterr()
    assert (
        f"make run: the module ended with 2: visionedge: model `default`: there is no model at \
{model}"
        in captured.err
    )
    assert "at the hub" not in captured.out

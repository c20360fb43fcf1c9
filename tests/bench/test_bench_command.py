"""`python -m bench`, as whoever types it meets it."""

import json
import sys
from pathlib import Path

import cv2
import pytest
from bench.__main__ import main
from bench.harness import Round, Rounds, Row, Sample, compare
from bench.registry import BENCHMARKS
from bench.report import Column, Report, Table

from bench import plot


def rows_of(**samples: Sample) -> list[Row]:
    return compare(Rounds([Round(samples)]), "bare")


def test_the_list_names_every_benchmark_with_what_it_measures(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--list"]) == 0
    out = capsys.readouterr().out
    for name, run in BENCHMARKS.items():
        first_line = (sys.modules[run.__module__].__doc__ or "").splitlines()[0]
        assert name in out
        assert len(first_line) > 20
        assert first_line in out


@pytest.mark.parametrize(
    "arguments", [["sideways"], ["--model", "gpt"], ["--pairs", "0"], ["--pairs", "many"]]
)
def test_what_does_not_exist_is_refused_before_anything_runs(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_a_table_lines_up_its_columns() -> None:
    rows = rows_of(bare=Sample(0.01, 0.01), ours=Sample(0.02, 0.01))
    columns = (
        Column("", lambda row: row.contender),
        Column("ms", lambda row: f"{row.wall_ms:.1f}"),
        Column("of bare", lambda row: f"{row.ratio:.2f}"),
    )
    lines = str(Table("title", rows, columns, ("note",))).splitlines()
    assert lines[0] == "title"
    assert lines[1].split() == ["ms", "of", "bare"]
    assert lines[2].split() == ["bare", "10.0", "1.00"]
    assert lines[3].split() == ["ours", "20.0", "0.50"]
    assert len({len(line) for line in lines[1:4]}) == 1
    assert lines[4].strip() == "note"


def test_a_report_keeps_unrounded_figures_with_machine_and_versions(tmp_path: Path) -> None:
    rows = rows_of(bare=Sample(1 / 3, 1 / 7))
    report = Report("some", [Table("title", rows, ())], skipped=["other: absent"])
    document = json.loads(report.save(tmp_path / "new").read_text(encoding="utf-8"))
    row = document["tables"][0]["rows"][0]
    assert Row(**row) == rows[0]
    assert row["wall_ms"] == pytest.approx(1000 / 3, rel=1e-12)
    assert document["skipped"] == ["other: absent"]
    assert document["machine"]["cores"] >= 1
    assert {"processor", "python", "onnxruntime", "numpy"} <= document["machine"].keys()


def test_a_picture_shows_a_bar_of_the_right_length_for_every_row() -> None:
    rows = rows_of(bare=Sample(1, 1), ours=Sample(2, 1))
    table = Table("t", rows, (Column("", lambda r: r.contender),), bar=_ratio)
    picture = plot.draw(Report("some", [table]))
    inked = [(row != picture[0, 0]).any(axis=1).sum() for row in picture]
    bars = [length for length in inked if length > 150]
    assert max(bars) == pytest.approx(2 * min(bars), rel=0.15)


def test_a_report_without_bars_has_no_picture(tmp_path: Path) -> None:
    assert plot.save(Report("some", [Table("t", [], ())]), tmp_path) is None
    assert not list(tmp_path.iterdir())


def _ratio(row: Row) -> float:
    return row.ratio


def test_a_run_prints_every_contender_and_writes_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["overhead", "--model", "pcb-defects", "--pairs", "2", "--patience", "0"]
    assert main([*arguments, "--quiet", "--out", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    document = json.loads((tmp_path / "overhead.json").read_text(encoding="utf-8"))
    rows = document["tables"][0]["rows"]
    assert [row["contender"].partition(",")[0].split()[0] for row in rows] == [
        "bare", "resize", "tensor", "tensor", "naive", "naive", "ours",
    ]  # fmt: skip
    picture = cv2.imread(str(tmp_path / "overhead.png"))
    assert picture is not None
    for row in rows:
        assert row["contender"] in captured.out
        assert row["rounds"] == 2
        assert row["ratio"] > 0


@pytest.mark.slow
def test_the_whole_way_runs_against_the_bare_run(tmp_path: Path) -> None:
    arguments = ["overlap", "--model", "pcb-defects", "--blocks", "1", "--patience", "0"]
    assert main([*arguments, "--quiet", "--out", str(tmp_path)]) == 0
    document = json.loads((tmp_path / "overlap.json").read_text(encoding="utf-8"))
    ours = [r for r in document["tables"][0]["rows"] if r["contender"].startswith("ours")]
    assert ours
    assert all(row["frames_per_s"] > 0 and row["cpu_ms"] > 0 for row in ours)

"""Truth that is no truth is refused by its file, and what exporters write besides is understood."""

from pathlib import Path

import pytest

from visionedge.errors import SettingsError
from visionedge.evaluation.formats import read_dataset

BOARD = Path(__file__).parents[2] / "models" / "pcb-defects" / "golden" / "board-1.jpg"


def picture(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.jpg").write_bytes(BOARD.read_bytes())
    return folder


@pytest.mark.parametrize(
    "line",
    [
        "0 0.1 0.1 0.5 0.1 0.5 0.5 0.2",
        "0.5 0.5 0.5 0.2 0.2",
        "99999999999 0.5 0.5 0.2 0.2",
        "0 0.5 0.5 -0.2 0.2",
        "0 1e300 0.5 0.2 0.2",
        "0 0.5 0.5 1.01 0.2",
        "0 -0.01 0.5 0.2 0.2",
        "0 32.5 24.0 10.0 8.0",
        "0 0.1 0.3 0.5 0.5 0.2 4.0",
    ],
)
def test_a_line_that_is_no_box_is_refused_by_its_file(tmp_path: Path, line: str) -> None:
    (picture(tmp_path) / "a.txt").write_text(line)
    with pytest.raises(SettingsError, match=r"a\.txt: "):
        read_dataset(tmp_path, "yolo")


def test_pixels_are_not_taken_for_shares(tmp_path: Path) -> None:
    (picture(tmp_path) / "a.txt").write_text("0 0.5 0.5 0.2 0.2\n\n1 320 240.5 64 48")
    with pytest.raises(SettingsError, match=r"a\.txt: `1 320 240\.5 64 48` is not in 0\.\.1"):
        read_dataset(tmp_path)


def test_a_share_that_rounding_took_out_of_the_picture_is_its_edge(tmp_path: Path) -> None:
    (picture(tmp_path) / "a.txt").write_text(
        "0 0.5 0.5 1.0005 1.0 1.7\n0 0 0 1 0 1.0005 1.0 -0.0005 1"
    )
    (only,) = read_dataset(tmp_path, "yolo").pictures
    assert only.xyxy is not None
    assert only.xyxy[0].tolist() == only.xyxy[1].tolist()
    assert only.xyxy.min() == 0


@pytest.mark.parametrize(
    "line", ["0 0.3 0.4 0.4 0.2", "0 0.1 0.3 0.5 0.5 0.2 0.4", "0 0.1 0.4 0.3 0.3 0.5 0.4 0.3 0.5"]
)
def test_of_a_polygon_or_a_turned_box_it_is_the_box_around_it(tmp_path: Path, line: str) -> None:
    (picture(tmp_path) / "a.txt").write_text(line)
    (whole,) = read_dataset(tmp_path, "yolo").pictures
    (picture(tmp_path / "all") / "a.txt").write_text("0 0.5 0.5 1 1")
    (all_,) = read_dataset(tmp_path / "all", "yolo").pictures
    assert whole.xyxy is not None
    assert all_.xyxy is not None
    width, height = all_.xyxy[0, 2:]
    shares = whole.xyxy[0] / [width, height, width, height]
    assert shares.tolist() == pytest.approx([0.1, 0.3, 0.5, 0.5], abs=1e-3)


def test_a_class_beyond_the_names_is_told_with_its_picture(tmp_path: Path) -> None:
    (picture(tmp_path) / "a.txt").write_text("3 0.5 0.5 0.2 0.2")
    (tmp_path / "classes.txt").write_text("open\nshort")
    with pytest.raises(SettingsError, match=r"a\.jpg has class 3, and the data set names 2"):
        read_dataset(tmp_path).in_terms_of(("open", "short"), {})


def test_a_readme_beside_the_truth_says_nothing_of_its_format(tmp_path: Path) -> None:
    (picture(tmp_path / "train") / "a.txt").write_text("0 0.5 0.5 0.2 0.2")
    (tmp_path / "README.roboflow.txt").write_text("Hard hats - v1\n")
    assert read_dataset(tmp_path).format == "yolo"


@pytest.mark.parametrize("bbox", ["[1,2,NaN,4]", "[1,2,-3,4]", "[1,2,1e999,4]"])
def test_a_box_of_coco_that_is_none_is_refused(tmp_path: Path, bbox: str) -> None:
    (picture(tmp_path) / "c.json").write_text(
        '{"categories":[{"id":1,"name":"open"}],"images":[{"id":1,"file_name":"a.jpg"}],'
        f'"annotations":[{{"image_id":1,"category_id":1,"bbox":{bbox}}}]}}'
    )
    with pytest.raises(SettingsError, match=r"c\.json: "):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    "written",
    [
        "nc: 2\nnames: ['open',\n  'short']\n",
        "names: {0: open, 1: short}\n",
        "names:\n  0: open # none\n  1: short\n",
        "names:\n- open\n- short\nnc: 2\n",
        "names: {1: short, 0: open}\n",
        "names:\n  1: short\n  0: 'open'\n",
    ],
)
def test_names_are_read_as_exporters_write_them(tmp_path: Path, written: str) -> None:
    (picture(tmp_path) / "a.txt").write_text("1 0.5 0.5 0.2 0.2")
    (tmp_path / "data.yaml").write_text(written)
    assert read_dataset(tmp_path).names == ("open", "short")


@pytest.mark.parametrize(
    ("file", "written"),
    [
        ("data.yaml", "names: {3: short, 0: open}\n"),
        ("data.yaml", "names:\n  0: open\n  3: short\nnc: 4\n"),
        ("classes.txt", "open\n\n2\nshort\n\n"),
    ],
)
def test_a_class_without_a_name_moves_no_other(tmp_path: Path, file: str, written: str) -> None:
    (picture(tmp_path) / "a.txt").write_text("3 0.5 0.5 0.2 0.2")
    (tmp_path / file).write_text(written)
    found = read_dataset(tmp_path)
    assert found.names == ("open", "1", "2", "short")
    (only,) = found.in_terms_of(("short", "open"), {}).pictures
    assert only.class_id.tolist() == [0]


def test_a_name_for_a_class_beyond_all_is_refused_by_its_file(tmp_path: Path) -> None:
    (picture(tmp_path) / "a.txt").write_text("3 0.5 0.5 0.2 0.2")
    (tmp_path / "data.yaml").write_text("names: {999999999: short}\n")
    with pytest.raises(SettingsError, match=r"data\.yaml: it names a class 999999999"):
        read_dataset(tmp_path)

"""Each format, told by looking, gives the same boxes in pixels."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from visionedge.errors import SettingsError
from visionedge.evaluation.formats import read_dataset

BOXES = [[10, 20, 30, 60], [50, 5, 90, 45]]


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((80, 100, 3), 99, np.uint8))
    return path


def coco(folder: Path) -> Path:
    picture(folder / "images" / "a.png")
    document = {
        "images": [{"id": 7, "file_name": "a.png"}],
        "categories": [{"id": 9, "name": "nut"}, {"id": 4, "name": "bolt"}],
        "annotations": [
            {"image_id": 7, "category_id": 4, "bbox": [10, 20, 20, 40]},
            {"image_id": 7, "category_id": 9, "bbox": [50, 5, 40, 40]},
            {"image_id": 7, "category_id": 9, "bbox": [0, 0, 99, 79], "iscrowd": 1},
        ],
    }
    (folder / "truth.json").write_text(json.dumps(document))
    return folder


def yolo(folder: Path) -> Path:
    picture(folder / "images" / "a.png")
    (folder / "labels").mkdir()
    (folder / "labels" / "a.txt").write_text("0 0.2 0.5 0.2 0.5\n1 0.7 0.3125 0.4 0.5\n")
    (folder / "data.yaml").write_text("train: x\nnames:\n  0: bolt\n  1: nut\nnc: 2\n")
    return folder


def voc(folder: Path) -> Path:
    picture(folder / "JPEGImages" / "a.png")
    corners = "<xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax>"
    objects = "".join(
        f"<object><name>{name}</name><bndbox>{corners.format(x1 + 1, y1 + 1, x2, y2)}</bndbox>"
        "</object>"
        for name, (x1, y1, x2, y2) in zip(("bolt", "nut"), BOXES, strict=True)
    )
    (folder / "Annotations").mkdir()
    text = f"<annotation><filename>a.png</filename>{objects}</annotation>"
    (folder / "Annotations" / "a.xml").write_text(text)
    return folder


FORMATS: dict[str, Callable[[Path], Path]] = {"coco": coco, "yolo": yolo, "voc": voc}


@pytest.mark.parametrize("kind", FORMATS)
def test_a_format_is_told_and_read_in_pixels(kind: str, tmp_path: Path) -> None:
    found = read_dataset(FORMATS[kind](tmp_path))
    assert found.format == kind
    (only,) = found.in_terms_of(("Nut", "BOLT"), {}).pictures
    assert only.path.name == "a.png"
    assert only.class_id.tolist() == [1, 0]
    assert only.xyxy is not None
    assert only.xyxy == pytest.approx(np.array(BOXES, np.float32), abs=1e-3)


@pytest.mark.parametrize("kind", ["yolo", "voc"])
def test_a_suffix_may_be_written_in_capitals(kind: str, tmp_path: Path) -> None:
    FORMATS[kind](tmp_path)
    for file in [*tmp_path.rglob("a.*")]:
        file.rename(file.with_suffix(file.suffix.upper()))
    found = read_dataset(tmp_path)
    assert found.format == kind
    assert [each.path.name for each in found.pictures] == ["a.PNG"]
    assert not found.left_out


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("b.txt", "0 0.5 0.5 0.1 0.1"),
        ("b.txt", "10 20 30 60 6"),
        ("b.xml", "<annotation><filename>b.jpg</filename></annotation>"),
    ],
)
def test_truth_without_a_picture_is_told(name: str, text: str, tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    for each in ("a", "b", "c"):
        (tmp_path / name).with_stem(each).write_text(text)
    found = read_dataset(tmp_path)
    assert [each.path.name for each in found.pictures] == ["a.png"]
    suffix = Path(name).suffix
    assert found.without_picture == (
        f"2 truth files have no picture and were left out: b{suffix}, c{suffix}"
    )
    (tmp_path / "a.png").unlink()
    with pytest.raises(SettingsError, match=r"3 truth files|looks like no data set"):
        read_dataset(tmp_path)


def test_a_readme_is_no_truth_without_a_picture(tmp_path: Path) -> None:
    yolo(tmp_path)
    (tmp_path / "README.roboflow.txt").write_bytes(b"Sch\xf6ne Bilder - v1\n")
    assert not read_dataset(tmp_path).left_out


def test_a_folder_that_is_named_as_truth_is_none(tmp_path: Path) -> None:
    yolo(tmp_path)
    (tmp_path / "notes.txt").mkdir()
    (tmp_path / "old.xml").mkdir()
    assert not read_dataset(tmp_path).left_out


def test_deeppcb_is_told_from_yolo_by_its_numbers(tmp_path: Path) -> None:
    picture(tmp_path / "b.jpg")
    (tmp_path / "b.txt").write_text("10 20 30 60 6\n50 5 90 45 5\n")
    found = read_dataset(tmp_path)
    assert found.format == "deeppcb"
    (only,) = found.pictures
    assert [found.names[number] for number in only.class_id] == ["pin_hole", "spurious_copper"]


def test_xml_that_is_no_annotation_says_nothing_of_the_format(tmp_path: Path) -> None:
    yolo(tmp_path)
    (tmp_path / "project.xml").write_text("<project><name>nuts</name></project>")
    assert read_dataset(tmp_path).format == "yolo"


def test_all_pictures_that_can_be_read_count(tmp_path: Path) -> None:
    for name in ("good/a.jfif", "good/b.GIF", "bad/c.pnm"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert [each.path.name for each in read_dataset(tmp_path).pictures] == [
        "c.pnm", "a.jfif", "b.GIF",
    ]  # fmt: skip


def test_folders_are_classes(tmp_path: Path) -> None:
    for name in ("good/a.png", "good/b.png", "bad/c.png"):
        picture(tmp_path / name)
    found = read_dataset(tmp_path)
    assert found.format == "folders"
    assert not found.is_detection
    ours = found.in_terms_of(("good", "faulty"), {"bad": "faulty"})
    assert [int(each.class_id[0]) for each in ours.pictures] == [1, 0, 0]


def test_an_empty_list_is_a_picture_with_nothing_in_it(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("")
    picture(tmp_path / "empty.png")
    found = read_dataset(tmp_path, "yolo")
    assert [len(each.class_id) for each in found.pictures] == [0]


def test_in_yolo_a_picture_without_truth_has_nothing_in_it(tmp_path: Path) -> None:
    yolo(tmp_path)
    picture(tmp_path / "images" / "nothing.JPG")
    picture(tmp_path / "images" / "a.bmp")
    picture(tmp_path / "figures" / "logo.png")
    found = read_dataset(tmp_path)
    assert [each.path.name for each in found.pictures] == ["a.png", "nothing.JPG"]
    assert found.pictures[1].xyxy is not None
    assert found.pictures[1].xyxy.shape == (0, 4)
    assert found.empty == 1


def test_the_pictures_of_another_split_are_not_taken_as_empty(tmp_path: Path) -> None:
    yolo(tmp_path)
    (tmp_path / "labels").rename(tmp_path / "labels_val")
    (tmp_path / "labels_train").mkdir()
    (tmp_path / "labels_train" / "b.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    picture(tmp_path / "images" / "b.png")
    found = read_dataset(tmp_path / "labels_val")
    assert [each.path.name for each in found.pictures] == ["a.png"]


def test_splits_that_go_together_have_empty_pictures_of_their_own(tmp_path: Path) -> None:
    for split in ("train", "val"):
        yolo(tmp_path / split)
        for folder in ("labels", "images"):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / split / folder).rename(tmp_path / folder / split)
        picture(tmp_path / "images" / split / f"nothing-{split}.png")
    found = read_dataset(tmp_path / "labels" / "val")
    assert [each.path.name for each in found.pictures] == ["a.png", "nothing-val.png"]


def test_in_other_formats_a_picture_without_truth_is_left_out(tmp_path: Path) -> None:
    voc(tmp_path)
    picture(tmp_path / "JPEGImages" / "unlabelled.png")
    assert [each.path.name for each in read_dataset(tmp_path).pictures] == ["a.png"]


def test_of_several_coco_files_none_is_picked(tmp_path: Path) -> None:
    coco(tmp_path)
    (tmp_path / "Val.JSON").write_bytes((tmp_path / "truth.json").read_bytes())
    (tmp_path / "a-model.json").write_text("{}")
    with pytest.raises(SettingsError, match=r"2 JSON files: Val\.JSON, truth\.json") as caught:
        read_dataset(tmp_path)
    assert "name the one" in caught.value.hint
    assert len(read_dataset(tmp_path / "truth.json").pictures) == 1


@pytest.mark.parametrize("text", ["{}", '{"name": "a model"}', "\xff no JSON"])
def test_a_json_that_is_not_coco_says_nothing_of_the_format(text: str, tmp_path: Path) -> None:
    for kind, write in FORMATS.items():
        folder = write(tmp_path / kind)
        (folder / "a.json").write_text(text, encoding="latin-1")
        assert read_dataset(folder).format == kind
    picture(tmp_path / "classes" / "good" / "a.png")
    (tmp_path / "classes" / "a.json").write_text(text, encoding="latin-1")
    assert read_dataset(tmp_path / "classes").format == "folders"


@pytest.mark.parametrize("kind", ["yolo", "voc"])
@pytest.mark.parametrize("above", ["labels", "Annotations", "my-labels"])
def test_a_data_set_may_lie_below_a_folder_of_any_name(
    kind: str, above: str, tmp_path: Path
) -> None:
    (tmp_path / above).mkdir()
    found = read_dataset(FORMATS[kind](tmp_path / above / "set"))
    assert found.format == kind
    assert [each.path.name for each in found.pictures] == ["a.png"]


def test_images_and_labels_are_no_classes(tmp_path: Path) -> None:
    yolo(tmp_path)
    truth = tmp_path / "labels" / "a.txt"
    truth.write_text("")
    assert read_dataset(tmp_path).format == "yolo"
    truth.rename(truth.with_stem("b"))
    with pytest.raises(SettingsError, match=r"as yolo: 1 truth file has no picture .*: b\.txt"):
        read_dataset(tmp_path)
    truth.with_stem("b").unlink()
    truth.parent.rmdir()
    with pytest.raises(SettingsError, match="looks like no data set"):
        read_dataset(tmp_path)


def test_names_inline_in_yaml_are_read(tmp_path: Path) -> None:
    yolo(tmp_path)
    (tmp_path / "data.yaml").write_text("names: ['bolt', \"nut\"]\n")
    assert read_dataset(tmp_path).names == ("bolt", "nut")


def test_a_class_that_the_model_does_not_know_is_named_with_the_mend(tmp_path: Path) -> None:
    found = read_dataset(coco(tmp_path))
    with pytest.raises(SettingsError, match="no nut") as caught:
        found.in_terms_of(("bolt", "screw"), {})
    assert "--map" in caught.value.hint


BROKEN: dict[str, tuple[str, str]] = {
    "a.json": ("[1]", "a.json"),
    "b.json": ("{", "b.json"),
    "c.json": (
        '{"images": [], "annotations": [], "categories": [{"id": 1}]}',
        "c.json: it is not COCO's: there is no 'name'",
    ),
    "a.xml": ("<annotation><object>", "a.xml"),
    "a.txt": ("0 0.5 nothing 0.1 0.1", "nothing"),
    "b.txt": ("0 0.5 0.5", "3 numbers, and not 5"),
    "c.txt": ("1 2 30 40 9", "types go from 1 to 6"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_named(name: str, tmp_path: Path) -> None:
    text, said = BROKEN[name]
    picture((tmp_path / name).with_suffix(".png"))
    (tmp_path / name).write_text(text)
    with pytest.raises(SettingsError, match=said) as caught:
        read_dataset(tmp_path)
    assert name in str(caught.value)
    assert caught.value.hint


def test_what_is_no_data_set_says_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="looks like no data set"):
        read_dataset(tmp_path)
    with pytest.raises(SettingsError, match="there is no data set"):
        read_dataset(tmp_path / "missing")


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("nan 0.5 0.5 0.1 0.1", "is not finite"),
        ("inf 0.5 0.5 0.1 0.1", "is not finite"),
        ("0 nan 0.5 0.1 0.1", "is not finite"),
        ("-1 0.5 0.5 0.1 0.1", "classes count from 0"),
    ],
)
def test_a_number_that_is_no_class_and_no_place_is_named_by_its_file(
    tmp_path: Path, line: str, named: str
) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text(line)
    with pytest.raises(SettingsError, match=rf"a\.txt: .*{named}"):
        read_dataset(tmp_path)

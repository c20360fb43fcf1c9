"""What was settled is kept, found again, and written so that others read it as it was."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pycocotools.coco import COCO
from tests.support.cloud import escalation, jpeg

from visionedge.__main__ import main
from visionedge.datasets.collection import Collection, picture_key
from visionedge.datasets.custom_vision import batches
from visionedge.datasets.formats import FORMATS, export, told
from visionedge.datasets.sample import Sample, sample_of
from visionedge.datasets.shelf import FolderShelf
from visionedge.datasets.written import Written
from visionedge.evaluation.formats import read_dataset
from visionedge.wire import Escalation, Verdict

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SPUR = {"label": "spur", "confidence": 0.9, "box": [0.25, 0.5, 0.75, 1.0]}
SHORT = {"label": "Short", "confidence": 0.8, "box": [0.5, 0.25, 0.25, 0.0]}


def sample(
    id_: str = "a",
    *,
    at: datetime = NOW,
    task: str = "detection",
    **verdict: Any,  # noqa: ANN401
) -> Sample:
    message = escalation(id_)
    if task == "classification":
        message["prediction"] = {"task": task, "classes": [{"label": "ok", "confidence": 0.5}]}
    answer = {
        "verdict_id": f"v-{id_}",
        "escalation_id": id_,
        "verified_at": at.isoformat(),
        "verifier": {"name": "ia40"},
        **verdict,
    }
    return sample_of(
        Escalation.read(message),
        Verdict.read(answer),
        kept_at=at,
        picture=picture_key(id_, at),
        outcome="corrected",
        device="line-1",
    )


def kept(folder: Path, *samples: Sample) -> Collection:
    collection = Collection(FolderShelf(folder))
    for each in samples:
        collection.keep(each, jpeg())
    return collection


def exported(tmp_path: Path, kind: str, *samples: Sample) -> tuple[Path, Written]:
    collection = kept(tmp_path / "kept", *samples)
    out = tmp_path / "out"
    return out, export(collection, kind, out)


def test_a_sample_is_found_again_with_its_picture_and_without_a_copy_of_it(tmp_path: Path) -> None:
    collection = kept(tmp_path, sample("a", detections=[SPUR]))
    (found,) = collection.samples()
    assert found == sample("a", detections=[SPUR])
    assert found.escalation.image.data == ""
    assert collection.jpeg(found) == jpeg()
    assert (tmp_path / "2026/11/21/a.jpg").exists()


def test_of_one_that_was_kept_twice_the_last_counts(tmp_path: Path) -> None:
    collection = kept(tmp_path, sample("a"), sample("b"), sample("a", detections=[SPUR]))
    assert sorted((s.id, len(s.verdict.detections)) for s in collection.samples()) == [
        ("a", 1),
        ("b", 0),
    ]


@pytest.mark.parametrize("torn", [b'{"schema": "sam', b"null\n", b"\xff\xfe\n", b"[]\n"])
def test_a_line_that_was_cut_by_a_power_loss_hides_no_other(tmp_path: Path, torn: bytes) -> None:
    index = tmp_path / "2026/11/21/index.jsonl"
    index.parent.mkdir(parents=True)
    index.write_bytes(torn)
    collection = kept(tmp_path, sample("b"))
    assert [each.id for each in collection.samples()] == ["b"]


def test_days_are_forgotten_whole_and_other_files_are_left_alone(tmp_path: Path) -> None:
    old = NOW - timedelta(days=3)
    collection = kept(tmp_path, sample("a", at=old), sample("b"))
    (tmp_path / "notes.txt").write_text("mine")
    assert collection.forget_before(NOW.date()) == 1
    assert [each.id for each in collection.samples()] == ["b"]
    assert not (tmp_path / "2026/11/18").exists()
    assert (tmp_path / "notes.txt").exists()


@pytest.mark.parametrize("key", ["../out.jpg", "a/../../out.jpg", "/etc/out.jpg"])
def test_no_key_leads_out_of_the_folder(tmp_path: Path, key: str) -> None:
    shelf = FolderShelf(tmp_path / "in")
    with pytest.raises(PermissionError, match="not below"):
        shelf.write(key, b"")
    with pytest.raises(PermissionError, match="not below"):
        shelf.read(key)
    with pytest.raises(PermissionError, match="not below"):
        shelf.delete(key)


def test_a_picture_outside_the_collection_is_no_sample(tmp_path: Path) -> None:
    line = json.loads(sample("a").encode()) | {"picture": "../../secret.jpg"}
    FolderShelf(tmp_path).append("2026/11/21/index.jsonl", json.dumps(line).encode())
    (found,) = Collection(FolderShelf(tmp_path)).samples()
    with pytest.raises(PermissionError):
        Collection(FolderShelf(tmp_path)).jpeg(found)


def test_coco_is_read_by_its_own_tools_in_pixels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, written = exported(tmp_path, "coco", sample("a", detections=[SPUR, SHORT]), sample("b"))
    oracle: Any = COCO
    coco = oracle(str(out / "annotations.json"))
    capsys.readouterr()
    assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == ["Short", "spur"]
    boxes = {a["category_id"]: a["bbox"] for a in coco.loadAnns(coco.getAnnIds())}
    assert boxes == {2: [16.0, 24.0, 32.0, 24.0], 1: [16.0, 0.0, 16.0, 12.0]}
    assert all((out / "images" / image["file_name"]).exists() for image in coco.imgs.values())
    assert (written.pictures, written.objects) == (2, 2)


@pytest.mark.parametrize("kind", ["coco", "yolo"])
def test_what_is_written_is_what_evaluate_reads(tmp_path: Path, kind: str) -> None:
    out, _ = exported(tmp_path, kind, sample("a", detections=[SPUR, SHORT]), sample("b"))
    read = read_dataset(out, kind)
    assert read.names == ("Short", "spur")
    first, empty = read.pictures
    assert first.class_id.tolist() == [1, 0]
    assert first.xyxy is not None
    assert first.xyxy[0].tolist() == pytest.approx([16, 24, 48, 48], abs=0.01)
    assert first.xyxy[1].tolist() == pytest.approx([16, 0, 32, 12], abs=0.01)
    assert len(empty.class_id) == 0
    assert read_dataset(out).format == kind


def test_class_folders_hold_what_shows_one_class(tmp_path: Path) -> None:
    classes = [{"label": "../NG", "confidence": 0.7}, {"label": "ok", "confidence": 0.3}]
    out, written = exported(
        tmp_path,
        "folders",
        sample("a", task="classification", classes=classes),
        sample("b", detections=[SPUR, SPUR]),
        sample("c", detections=[SPUR, SHORT]),
        sample("d"),
    )
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.jpg"))
    assert files == ["(nothing)/d.jpg", "_NG/a.jpg", "spur/b.jpg"]
    assert written.left_out == {"it shows several classes": 1}


def test_custom_vision_batches_have_tags_by_name_and_boxes_by_corner(tmp_path: Path) -> None:
    out, written = exported(tmp_path, "custom-vision", sample("a", detections=[SPUR]), sample("b"))
    (entry,) = json.loads((out / "batches/0001.json").read_text())["images"]
    assert entry == {
        "name": "a.jpg",
        "file": "images/a.jpg",
        "tags": ["spur"],
        "regions": [{"tag": "spur", "left": 0.25, "top": 0.5, "width": 0.5, "height": 0.5}],
    }
    assert (out / entry["file"]).read_bytes() == jpeg()
    assert written.left_out == {"nothing is in it": 1}


def test_a_batch_holds_no_more_than_a_call_takes() -> None:
    entries = [{"tags": [f"t{i // 4}"]} for i in range(200)]
    made = list(batches(entries))
    assert [entry for batch in made for entry in batch] == entries
    assert all(len(batch) <= 64 for batch in made)
    assert all(len({t for entry in batch for t in entry["tags"]}) <= 20 for batch in made)
    assert [len(batch) for batch in batches([{"tags": ["t"]}] * 130)] == [64, 64, 2]


def test_spelling_makes_no_second_class(tmp_path: Path) -> None:
    _, written = exported(
        tmp_path,
        "yolo",
        sample("a", detections=[{**SPUR, "label": "pin_hole"}]),
        sample("b", detections=[{**SPUR, "label": "pin_hole"}]),
        sample("c", detections=[{**SPUR, "label": "Pin-Hole"}]),
    )
    assert written.names == ("pin_hole",)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    "verdict",
    [
        {"status": "unverified", "reason": "budget"},
        {"classes": [{"label": "spur", "confidence": 0.9}]},
    ],
)
def test_a_verdict_that_teaches_nothing_is_left_out(
    tmp_path: Path, kind: str, verdict: dict[str, Any]
) -> None:
    _, written = exported(tmp_path, kind, sample("a", **verdict))
    assert written.pictures == 0
    assert written.left_out == {"the verdict says nothing to learn from": 1}
    assert "1 left out" in told(written)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_picture_that_is_gone_is_counted(tmp_path: Path, kind: str) -> None:
    collection = kept(tmp_path / "kept", sample("a", detections=[SPUR]))
    (tmp_path / "kept/2026/11/21/a.jpg").unlink()
    written = export(collection, kind, tmp_path / "out")
    assert written.left_out == {"the picture is gone": 1}


def test_lines_that_cannot_be_read_are_counted_by_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept(tmp_path / "kept", sample("a", detections=[SPUR]))
    with (tmp_path / "kept/2026/11/21/index.jsonl").open("ab") as index:
        index.write(b"null\n{}\n\x00")
    arguments = ["export", "--format", "coco", "--archive", str(tmp_path / "kept"), "--out"]
    assert main([*arguments, str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "1 pictures, 1 objects, 1 classes",
        "3 left out: lines of 2026/11/21/index.jsonl that cannot be read",
    ]


def test_a_folder_that_is_no_archive_is_refused_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "a.jpg").write_bytes(jpeg())
    arguments = ["export", "--format", "coco", "--archive", str(tmp_path / "kept"), "--out"]
    assert main([*arguments, str(tmp_path / "out")]) == 2
    assert "kept is no archive: there is no YYYY/MM/DD/index.jsonl" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("yolo", "images/a.jpg"),
        ("yolo", "labels/a.txt"),
        ("yolo", "data.yaml"),
        ("coco", "annotations.json"),
        ("folders", "spur/a.jpg"),
        ("custom-vision", "batches/0001.json"),
    ],
)
def test_a_full_disk_is_told_with_the_file_and_the_mend(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    file: str,
) -> None:
    kept(tmp_path / "kept", sample("a", detections=[SPUR]))
    full, write_bytes = tmp_path / "out" / file, Path.write_bytes

    def write(path: Path, content: bytes) -> int:
        return write_bytes(Path("/dev/full") if path == full else path, content)

    monkeypatch.setattr(Path, "write_bytes", write)
    arguments = ["export", "--format", kind, "--archive", str(tmp_path / "kept"), "--out"]
    assert main([*arguments, str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == (
        f"visionedge: --out: cannot write {full}: No space left on device (make room)\n"
    )


def test_nothing_is_written_among_other_files(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(FileExistsError, match="not an empty folder"):
        export(kept(tmp_path / "kept"), "coco", tmp_path)

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import pytest
from tests.inference.graphs import answers, color_classifier, saved

from visionedge.commands import predict
from visionedge.errors import ModelLoadError, SettingsError
from visionedge.inference.image import read_image

BLUE = np.full((60, 80, 3), (200, 20, 20), np.uint8)


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    out = np.zeros((1, 6, 84))
    out[0, :, 3] = [32, 32, 16, 8, 0.9, 0.1]
    path = saved(answers({"output0": out}), tmp_path / "model" / "model.onnx")
    path.with_name("labels.txt").write_text("bolt\nnut")
    return path.parent


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    for name in ("b.png", "a.JPG", "more/a.png"):
        cv2.imwrite(str(folder / name), BLUE)
    (folder / "notes.txt").write_text("no picture")
    return folder


def run(*arguments: str | Path) -> int:
    parser = argparse.ArgumentParser()
    predict.add_parser(parser.add_subparsers(dest="command"))
    return predict.run(parser.parse_args(["predict", *map(str, arguments)]))


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_json_is_one_object_a_picture_in_its_own_pixels(
    detector: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--model", detector, "--json", pictures / "b.png") == 0
    (document,) = lines(capsys)
    assert document == {
        "image": str(pictures / "b.png"),
        "task": "detection",
        "detections": [
            {
                "class_id": 0,
                "label": "bolt",
                "confidence": 0.9,
                "box_xyxy": [30.0, 25.0, 50.0, 35.0],
            }
        ],
    }


def test_classes_are_the_five_best(
    tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = np.linspace(-0.01, 0.01, 21, dtype=np.float32).reshape(7, 3)
    weights[4] = [0.3, 0, -0.3]
    model = saved(color_classifier(weights), tmp_path / "colors.onnx")
    assert (
        run("--model", model, "--color", "bgr", "--scale", "1", "--json", pictures / "b.png") == 0
    )
    (document,) = lines(capsys)
    assert document["task"] == "classification"
    assert [each["class_id"] for each in document["classes"]][0] == 4
    assert len(document["classes"]) == 5
    assert document["classes"][0]["label"] == "4"


def test_folders_are_searched_and_other_files_left(
    detector: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--model", detector, "--json", pictures) == 0
    names = [Path(each["image"]).relative_to(pictures).as_posix() for each in lines(capsys)]
    assert names == ["a.JPG", "b.png", "more/a.png"]


def test_every_kind_of_picture_is_taken_from_a_folder_and_what_is_left_is_counted(
    detector: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for ending in ("gif", "jp2", "pbm"):
        cv2.imwrite(str(pictures / f"c.{ending}"), BLUE if ending != "pbm" else BLUE[..., 0])
    (pictures / "c.jfif").write_bytes((pictures / "a.JPG").read_bytes())
    for name in (".hidden", "d.csv", "d.xml", "d.yaml", "README.md"):
        (pictures / name).touch()
    assert run("--model", detector, "--json", pictures) == 0
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 7
    assert told.err == ""
    for name in ("e.heic", "more/f.raw"):
        (pictures / name).touch()
    assert run("--model", detector, "--json", pictures) == 0
    assert capsys.readouterr().err == (
        f"visionedge: {pictures}: 2 files left out, by their names no pictures, such as e.heic\n"
    )


def test_a_picture_that_cannot_be_read_is_named_and_the_rest_goes_on(
    detector: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (pictures / "notes.txt", pictures / "missing.png", pictures / "b.png")
    assert run("--model", detector, "--json", *arguments) == 4
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 1
    assert "notes.txt" in captured.err
    assert "missing.png" in captured.err


def test_people_get_a_table(
    detector: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--model", detector, pictures / "b.png") == 0
    assert "bolt  0.900     30.0     25.0     50.0     35.0" in capsys.readouterr().out
    assert run("--model", detector, "--floor", "0.95", pictures / "b.png") == 0
    assert "nothing" in capsys.readouterr().out


def test_annotated_pictures_are_written_each_under_its_own_name(
    detector: Path, pictures: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "out"
    assert run("--model", detector, "--out", out, pictures) == 0
    assert sorted(p.name for p in out.iterdir()) == ["a-2.png", "a.png", "b.png"]
    drawn = read_image(out / "b.png")
    assert drawn is not None
    assert drawn.shape == BLUE.shape
    assert (drawn != BLUE).any()


def test_a_card_on_the_command_line_wins(
    detector: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = tmp_path / "hints.json"
    card.write_text('{"labels": ["screw", "nut"]}')
    assert run("--model", detector, "--card", card, "--json", pictures / "b.png") == 0
    assert lines(capsys)[0]["detections"][0]["label"] == "screw"


def test_wrong_arguments_are_errors_that_say_so(
    detector: Path, pictures: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="--floor"):
        run("--model", detector, "--floor", "2", pictures)
    with pytest.raises(SettingsError, match="no picture in"):
        run("--model", detector, tmp_path / "empty")
    with pytest.raises(SettingsError, match="--out"):
        run("--model", detector, "--out", tmp_path / "file" / "below", pictures)
    with pytest.raises(ModelLoadError):
        run("--model", tmp_path / "missing", pictures)


def test_a_big_picture_is_looked_at_in_tiles(
    detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cv2.imwrite(str(tmp_path / "big.png"), np.full((64, 192, 3), 90, np.uint8))
    assert run("--model", detector, "--json", "--tiles", "64x64", tmp_path / "big.png") == 0
    (document,) = lines(capsys)
    # One in the middle of each of the four tiles; they begin at 0, 43, 85 and 128.
    lefts = sorted(each["box_xyxy"][0] for each in document["detections"])
    assert lefts == [24.0, 67.0, 109.0, 152.0]
    for wrong in ("64", "axb", "64x"):
        with pytest.raises(SettingsError, match="no tiling"):
            run("--model", detector, "--tiles", wrong, tmp_path / "big.png")


def test_frames_of_a_video_are_named_by_their_number(
    detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 10, (80, 60))
    for _ in range(5):
        writer.write(BLUE)
    writer.release()
    out = tmp_path / "out"
    assert run("--model", detector, "--json", "--every", "2", "--out", out, tmp_path) == 0
    names = [each["image"] for each in lines(capsys)]
    assert names == [f"{clip}#{number:06d}" for number in (0, 2, 4)]
    assert sorted(p.name for p in out.iterdir()) == [f"clip-{n:06d}.png" for n in (0, 2, 4)]


def test_a_video_that_is_none_is_named(
    detector: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pictures / "clip.mp4").write_bytes(b"no video")
    assert run("--model", detector, "--json", pictures / "clip.mp4", pictures / "b.png") == 4
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 1
    assert "clip.mp4 cannot be read: it is no video, or only a part of one" in captured.err
    with pytest.raises(SettingsError, match="no step"):
        run("--model", detector, "--every", "0", pictures / "b.png")


def test_a_second_model_names_what_the_first_one_found(
    detector: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = color_classifier(np.eye(3, dtype=np.float32) * 8)
    second = saved(model, tmp_path / "sorter" / "model.onnx")
    second.with_name("labels.txt").write_text("red\ngreen\nblue")
    assert run("--model", detector, "--then", second, "--json", pictures / "b.png") == 0
    (found,) = lines(capsys)[0]["detections"]
    assert found["label"] == "blue"
    assert found["confidence"] == pytest.approx(0.9, abs=0.01)


def test_two_models_that_make_no_cascade_are_refused(detector: Path, pictures: Path) -> None:
    with pytest.raises(SettingsError, match="--then .* is a detector"):
        run("--model", detector, "--then", detector, pictures)
    with pytest.raises(SettingsError, match="--margin -1"):
        run("--model", detector, "--then", detector, "--margin", "-1", pictures)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"hello", "it is no picture, whatever its name says"),
        (cv2.imencode(".png", BLUE)[1].tobytes()[:40], "the picture is damaged or cut short"),
    ],
)
def test_a_picture_that_cannot_be_read_is_told_with_its_reason(
    detector: Path,
    pictures: Path,
    capsys: pytest.CaptureFixture[str],
    content: bytes,
    reason: str,
) -> None:
    (pictures / "bad.png").write_bytes(content)
    assert run("--model", detector, "--json", pictures / "bad.png", pictures / "b.png") == 4
    captured = capsys.readouterr()
    assert f"bad.png cannot be read: {reason}" in captured.err
    assert len(captured.out.splitlines()) == 1


FLOATS: Final = cv2.imencode(".tif", BLUE.astype(np.float32))[1].tobytes()
LARGE: Final = cv2.imencode(
    ".tif", np.zeros((600, 600, 3), np.float32), (cv2.IMWRITE_TIFF_COMPRESSION, 1)
)[1].tobytes()
"""So large that its end, which says what it is, is not in what is looked at of others."""


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("bad.tif", cv2.imencode(".tif", BLUE)[1].tobytes()[:-40], "damaged or cut short (copy"),
        ("bad.gif", cv2.imencode(".gif", BLUE)[1].tobytes()[:40], "damaged or cut short (copy"),
        ("deep.tif", FLOATS, "it has samples of 32 bits; 16 is the most (save it with 8 or 16)"),
        ("deep.tif", LARGE, "it has samples of 32 bits; 16 is the most (save it with 8 or 16)"),
    ],
)
def test_a_picture_that_opencv_does_not_decode_is_told_in_our_words_alone(
    detector: Path, pictures: Path, name: str, content: bytes, reason: str
) -> None:
    (pictures / name).write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-m", "visionedge", "predict", "--model", detector, pictures / name],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 4
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"visionedge: {pictures / name} cannot be read: ")
    assert reason in line


@pytest.mark.parametrize("tiles", ["0x0", "320", "-1x5", "ax b"])
def test_tiles_that_are_no_size_are_refused(detector: Path, pictures: Path, tiles: str) -> None:
    with pytest.raises(SettingsError, match="is no tiling"):
        run("--model", detector, f"--tiles={tiles}", pictures / "b.png")


def test_a_picture_that_is_looked_at_is_never_drawn_over(detector: Path, pictures: Path) -> None:
    before = (pictures / "b.png").read_bytes()
    with pytest.raises(SettingsError, match=r"--out: .*b\.png .*would be drawn over") as caught:
        run("--model", detector, "--out", pictures / "more" / "..", pictures)
    assert "another folder" in caught.value.hint
    assert (pictures / "b.png").read_bytes() == before
    assert run("--model", detector, "--out", pictures, pictures / "a.JPG") == 0
    assert (pictures / "a.png").exists()

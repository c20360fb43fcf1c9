"""Zips from anywhere: read as they are where harmless, refused by name where not."""

import contextlib
import errno
import io
import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.inference.graphs import color_classifier, named_classes

from visionedge.errors import ModelLoadError
from visionedge.inference import archive
from visionedge.inference.archive import unpacked
from visionedge.inference.bundle import find_bundle
from visionedge.inference.model import load_model
from visionedge.settings import ModelSettings

WEIGHTS = np.linspace(-1, 1, 9, dtype=np.float32).reshape(3, 3)
MODEL = color_classifier(WEIGHTS).SerializeToString()
METADATA = Path(__file__).parents[2] / ".." / "shared" / "conformance" / "cv_export_metadata"


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            target.writestr(name, content)
    return path


def test_an_export_is_read_as_it_is(tmp_path: Path) -> None:
    export = zipped(tmp_path / "colours.zip", {"model.onnx": MODEL, "labels.txt": b"a\nb\nc"})
    model = load_model(export, ModelSettings(path="unused"), cache=tmp_path / "cache")
    assert model.card.labels == ("a", "b", "c")
    assert model.card.name == "colours"
    assert model.origins["labels"] == "labels.txt"


@pytest.mark.skipif(not METADATA.is_dir(), reason="the export metadata are not beside the project")
def test_metadata_of_a_real_export_are_used(tmp_path: Path) -> None:
    beside = METADATA / "plant-disease"
    labels = (beside / "labels.txt").read_text().splitlines()
    graph = color_classifier(np.eye(len(labels), 3, dtype=np.float32))
    files = {path.name: path.read_bytes() for path in beside.iterdir()}
    export = zipped(tmp_path / "lawn.zip", {**files, "model.onnx": graph.SerializeToString()})
    card = load_model(export, ModelSettings(path="unused"), cache=tmp_path).card
    assert card.labels == tuple(labels)
    assert card.input.color == "rgb"
    assert card.input.scale == pytest.approx(1 / 255)


@pytest.mark.skipif(not METADATA.is_dir(), reason="the export metadata are not beside the project")
def test_an_export_for_another_platform_says_so(tmp_path: Path) -> None:
    files = {path.name: path.read_bytes() for path in (METADATA / "plant-disease").iterdir()}
    export = zipped(tmp_path / "lawn.zip", {**files, "model.tflite": b"TFL3"})
    with pytest.raises(ModelLoadError, match="DockerFile") as caught:
        find_bundle(export, tmp_path / "cache")
    assert "platform ONNX" in caught.value.hint


def test_the_manifest_says_which_file_is_the_model(tmp_path: Path) -> None:
    manifest = b'{"ModelFileName": "second.onnx", "LabelFileName": "names.txt"}'
    files = {"first.onnx": b"junk", "second.onnx": MODEL, "cvexport.manifest": manifest}
    export = zipped(tmp_path / "two.zip", {**files, "names.txt": b"x\ny\nz"})
    model = load_model(export, ModelSettings(path="unused"), cache=tmp_path / "cache")
    assert model.bundle.model.name == "second.onnx"
    assert model.card.labels == ("x", "y", "z")


def test_a_folder_within_the_zip_is_found(tmp_path: Path) -> None:
    export = zipped(tmp_path / "whole.zip", {"whole/model.onnx": MODEL, "whole/labels.txt": b"a"})
    assert find_bundle(export, tmp_path / "cache").model.parent.name == "whole"


def test_two_models_in_two_folders_are_refused(tmp_path: Path) -> None:
    export = zipped(tmp_path / "two.zip", {"a/model.onnx": MODEL, "b/model.onnx": MODEL})
    with pytest.raises(ModelLoadError, match="several folders: a, b"):
        find_bundle(export, tmp_path / "cache")


def test_it_is_unpacked_once_and_anew_when_it_changes(tmp_path: Path) -> None:
    export = zipped(tmp_path / "e.zip", {"model.onnx": MODEL})
    first = unpacked(export, tmp_path / "cache")
    (first / "mark").write_text("")
    assert (unpacked(export, tmp_path / "cache") / "mark").exists()
    zipped(export, {"model.onnx": MODEL, "labels.txt": b"a"})
    assert not (unpacked(export, tmp_path / "cache") / "mark").exists()


def test_what_was_unpacked_is_read_from_a_cache_that_cannot_be_written_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = zipped(tmp_path / "e.zip", {"model.onnx": MODEL})
    first = unpacked(export, tmp_path / "cache")

    def read_only(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "touch", read_only)
    assert unpacked(export, tmp_path / "cache") == first


def test_what_a_power_cut_left_half_unpacked_is_taken_away_in_time(tmp_path: Path) -> None:
    exports = tmp_path / "cache" / "exports"
    old, young = exports / ".unpack-old", exports / ".unpack-young"
    for left in (old, young):
        left.mkdir(parents=True)
        (left / "model.onnx").write_bytes(b"half")
    os.utime(old, (0, 0))
    unpacked(zipped(tmp_path / "e.zip", {"model.onnx": MODEL}), tmp_path / "cache")
    assert not old.exists()
    assert young.exists()


def test_only_the_newest_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_KEPT", 2)
    for number in range(4):
        unpacked(zipped(tmp_path / "e.zip", {"model.onnx": bytes([number])}), tmp_path)
    assert len(list((tmp_path / "exports").iterdir())) == 2


def symlink(target: zipfile.ZipFile) -> None:
    entry = zipfile.ZipInfo("model.onnx")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    target.writestr(entry, "/etc/passwd")


def encrypted(target: zipfile.ZipFile) -> None:
    target.writestr("model.onnx", MODEL)
    target.filelist[0].flag_bits |= 1


def many(target: zipfile.ZipFile) -> None:
    for number in range(1001):
        target.writestr(f"{number}.txt", b"")


def odd_compression(target: zipfile.ZipFile) -> None:
    target.writestr("model.onnx", MODEL, zipfile.ZIP_BZIP2)


def written(*names: str) -> Callable[[zipfile.ZipFile], None]:
    def build(target: zipfile.ZipFile) -> None:
        for name in names:
            target.writestr(name, MODEL)

    return build


HOSTILE: dict[str, tuple[Callable[[zipfile.ZipFile], None], str]] = {
    "traversal": (lambda z: z.writestr("../out.onnx", MODEL), "leads out of its folder"),
    "absolute": (lambda z: z.writestr("/tmp/out.onnx", MODEL), "leads out of its folder"),
    "backslash": (lambda z: z.writestr("..\\out.onnx", MODEL), "leads out of its folder"),
    "drive": (lambda z: z.writestr("c:out.onnx", MODEL), "leads out of its folder"),
    "link": (symlink, "is a link"),
    "encrypted": (encrypted, "is encrypted"),
    "many": (many, "1001 files"),
    "bomb": (lambda z: z.writestr("model.onnx", bytes(32 * 1024**2)), "times its size"),
    "bzip2": (odd_compression, "compressed in a way"),
    "long": (lambda z: z.writestr("a" * 300, b""), "no name"),
    "long in bytes": (lambda z: z.writestr("\u00e4" * 150, b""), "no name"),
    "capitals": (written("model.onnx", "Model.onnx"), "two files of one name"),
    "a dot": (written("model.onnx", "./model.onnx"), "two files of one name"),
    "within a file": (written("a", "a/b/model.onnx"), "`a` is a file in it, and a folder"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_zip_is_refused_before_a_byte_is_written(kind: str, tmp_path: Path) -> None:
    build, why = HOSTILE[kind]
    export = tmp_path / "hostile.zip"
    with zipfile.ZipFile(export, "w", zipfile.ZIP_DEFLATED) as target:
        build(target)
    with pytest.raises(ModelLoadError, match=why) as caught:
        unpacked(export, tmp_path / "cache")
    assert caught.value.hint
    assert list((tmp_path / "cache" / "exports").iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "hostile.zip"]


def test_too_large_a_zip_is_refused_by_its_own_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_BYTES", 1000)
    export = zipped(tmp_path / "e.zip", {"model.onnx": bytes(1001)})
    with pytest.raises(ModelLoadError, match="unpack to 1001 bytes"):
        unpacked(export, tmp_path / "cache")


def test_a_zip_without_a_model_says_what_is_missing(tmp_path: Path) -> None:
    export = zipped(tmp_path / "e.zip", {"readme.txt": b"nothing"})
    with pytest.raises(ModelLoadError, match="no ONNX file"):
        find_bundle(export, tmp_path / "cache")


GOOD = io.BytesIO()
with zipfile.ZipFile(GOOD, "w", zipfile.ZIP_DEFLATED) as _target:
    _target.writestr("model.onnx", named_classes(["a", "b", "c"], WEIGHTS).SerializeToString())
    _target.writestr("labels.txt", b"a\nb\nc")


@settings(max_examples=60, deadline=None)
@given(
    cut=st.integers(4, len(GOOD.getvalue())),
    at=st.integers(4, len(GOOD.getvalue()) - 1),
    byte=st.integers(0, 255),
)
def test_a_damaged_zip_is_refused_by_name_or_unpacked_whole(
    tmp_path_factory: pytest.TempPathFactory, cut: int, at: int, byte: int
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    content = bytearray(GOOD.getvalue())
    content[at] = byte
    export = folder / "e.zip"
    export.write_bytes(bytes(content[:cut]))
    # Any other error than ours fails the test.
    with contextlib.suppress(ModelLoadError):
        assert unpacked(export, folder / "cache").is_relative_to(folder / "cache")
    outside = {path.name for path in folder.iterdir()} - {"cache", "e.zip"}
    assert not outside

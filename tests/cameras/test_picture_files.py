"""One picture file: what is read, and what is refused before it could do harm."""

import struct
import zlib
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cameras.videos import SIDES, pictures

from visionedge.cameras import picture as module
from visionedge.cameras.picture import picture_size, read_picture, too_deep
from visionedge.cameras.pictures import PictureReader
from visionedge.errors import CameraUnavailable

_FORMATS: Final = (".jpg", ".png", ".bmp", ".webp", ".tif")


def encoded(suffix: str, *options: int) -> bytes:
    return cv2.imencode(suffix, pictures()[1], options)[1].tobytes()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nothing."""
    ihdr = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + ihdr + struct.pack(">I", zlib.crc32(ihdr))
    return b"\x89PNG\r\n\x1a\n" + chunk


@pytest.mark.parametrize("suffix", _FORMATS)
def test_a_picture_of_each_format_is_read(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(encoded(suffix))
    image = read_picture(path)
    assert image.shape == (SIDES[1], SIDES[0], 3)
    assert np.abs(image.astype(int) - pictures()[1]).mean() < 2


@pytest.mark.parametrize(
    "bytes_of",
    [
        *(encoded(suffix) for suffix in _FORMATS),
        encoded(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        encoded(".webp", cv2.IMWRITE_WEBP_QUALITY, 101),
        encoded(".tif", cv2.IMWRITE_TIFF_COMPRESSION, 1),
        b"BM" + bytes(12) + struct.pack("<IHH", 12, *SIDES) + bytes(4),
        b"BM" + bytes(12) + struct.pack("<Iii", 40, SIDES[0], -SIDES[1]),
        b"RIFF" + bytes(4) + b"WEBPVP8X" + bytes(8) + bytes((159, 0, 0, 111, 0, 0)),
        b"MM\x00*" + struct.pack(">IH", 8, 2) + struct.pack(">HHIHH", 256, 3, 1, SIDES[0], 0)
        + struct.pack(">HHII", 257, 4, 1, SIDES[1]),
        b"\xff\xd8\xff\xff\xe0\x00\x04ab\xff\xc0\x00\x11\x08" + struct.pack(">HH", *SIDES[::-1]),
    ],
)  # fmt: skip
def test_the_size_stands_in_the_header(bytes_of: bytes) -> None:
    assert picture_size(bytes_of) == SIDES


@pytest.mark.parametrize("suffix", _FORMATS)
def test_a_picture_that_was_cut_short_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"cut{suffix}"
    whole = encoded(suffix)
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(CameraUnavailable, match=path.name):
        read_picture(path)


def test_a_jpeg_that_lacks_its_last_bytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    path.write_bytes(encoded(".jpg")[:-20])
    with pytest.raises(CameraUnavailable, match="damaged or cut short"):
        read_picture(path)


def test_a_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(100_000, 100_000))
    with pytest.raises(CameraUnavailable, match="100000 x 100000 pixels; 64000000 is the most"):
        read_picture(path)


def test_a_large_file_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 100)
    path = tmp_path / "large.png"
    path.write_bytes(encoded(".png"))
    with pytest.raises(CameraUnavailable, match="100 is the most"):
        read_picture(path)


@pytest.mark.parametrize(
    "content", [b"", b"GIF89a" + bytes(50), b"<svg/>", png_header(0, 5), b"\xff\xd8\xff", b"BM"]
)
def test_what_is_no_picture_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(CameraUnavailable, match=r"a\.jpg is no JPEG"):
        read_picture(path)


def test_a_picture_that_is_gone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CameraUnavailable, match="cannot be read: No such file"):
        read_picture(tmp_path / "none.jpg")


def test_a_picture_with_transparency_is_read_as_colour(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.dstack((pictures()[1], np.full(SIDES[::-1], 128, np.uint8))))
    assert read_picture(path).shape == (SIDES[1], SIDES[0], 3)


def test_a_deep_grey_picture_is_read_as_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.full((8, 16), 40_000, np.uint16))
    image = read_picture(path)
    assert image.shape == (8, 16, 3)
    assert image.dtype == np.uint8


@pytest.mark.parametrize(("dtype", "bits"), [(np.float32, 32), (np.float64, 64)])
def test_a_tiff_of_floating_point_is_refused_by_its_depth(
    tmp_path: Path, dtype: type, bits: int
) -> None:
    path = tmp_path / "a.tif"
    cv2.imwrite(str(path), pictures()[1].astype(dtype))
    with pytest.raises(CameraUnavailable, match=f"has samples of {bits} bits; 16 is the most"):
        read_picture(path)


@given(
    head=st.sampled_from([encoded(suffix)[:64] for suffix in _FORMATS]),
    cut=st.integers(0, 64),
    tail=st.binary(max_size=64),
)
def test_no_header_makes_the_reader_raise(head: bytes, cut: int, tail: bytes) -> None:
    size = picture_size(head[:cut] + tail)
    assert size is None or min(size) > 0
    assert isinstance(too_deep(head[:cut] + tail), str)


def test_a_file_that_is_written_anew_again_and_again_is_not_remembered_for_ever(
    tmp_path: Path,
) -> None:
    reader = PictureReader(tmp_path)
    path = tmp_path / "latest.jpg"
    for size in range(1, 1500):
        path.write_bytes(b"\xff" * size)
        reader.open()
        with pytest.raises(CameraUnavailable):
            reader.advance()
    assert len(reader._bad) <= 1000

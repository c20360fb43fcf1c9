"""JPEGs from somebody else: what is not a whole picture of a sane size is refused by name."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionedge.cameras.jpeg_body import MIN_SIDE_PX, decode_jpeg
from visionedge.errors import FrameRefused

MOST = 1_000_000


def jpeg(width: int = 320, height: int = 240, *flags: int) -> bytes:
    picture = np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)
    return bytes(cv2.imencode(".jpg", cv2.blur(picture, (9, 9)), list(flags))[1])


def refusal(body: bytes, most: int = MOST) -> str:
    with pytest.raises(FrameRefused) as caught:
        decode_jpeg(body, most)
    assert str(caught.value)
    return caught.value.code


def claiming(width: int, height: int) -> bytes:
    """A small JPEG whose header says that it is `width` by `height`."""
    body = bytearray(jpeg())
    at = body.index(b"\xff\xc0") + 5
    body[at : at + 4] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return bytes(body)


def test_a_whole_picture_is_decoded() -> None:
    assert decode_jpeg(jpeg(), MOST).shape == (240, 320, 3)


@pytest.mark.parametrize("tail", [b"\0" * 700, b"\xff" * 3, b"camera 7"])
def test_what_a_camera_writes_behind_the_end_is_no_fault(tail: bytes) -> None:
    assert decode_jpeg(jpeg() + tail, MOST).shape == (240, 320, 3)


def test_a_progressive_and_a_gray_picture_are_pictures() -> None:
    assert decode_jpeg(jpeg(320, 240, cv2.IMWRITE_JPEG_PROGRESSIVE, 1), MOST).shape[2] == 3
    gray = bytes(cv2.imencode(".jpg", np.full((64, 64), 90, np.uint8))[1])
    assert decode_jpeg(gray, MOST).shape == (64, 64, 3)


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xd8", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"{}", b"\0" * 100]
)
def test_what_is_no_jpeg_is_refused(body: bytes) -> None:
    assert refusal(body) == "not_a_jpeg"


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.999])
def test_a_picture_that_is_cut_short_is_refused_and_not_filled_with_gray(share: float) -> None:
    body = jpeg()
    assert refusal(body[: int(len(body) * share)]) == "cut_short"


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_picture() -> None:
    body, thumbnail = jpeg(), jpeg(32, 32)
    exif = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    whole = body[:2] + exif + body[2:]
    assert decode_jpeg(whole, MOST).shape == (240, 320, 3)
    assert refusal(whole[:-200]) == "cut_short"


def test_a_size_beyond_the_limit_is_refused_before_it_is_decoded() -> None:
    assert refusal(claiming(60_000, 60_000)) == "too_many_pixels"
    assert refusal(jpeg(), 320 * 240 - 1) == "too_many_pixels"
    assert decode_jpeg(jpeg(), 320 * 240).shape == (240, 320, 3)


def test_a_side_below_the_limit_is_refused() -> None:
    assert refusal(jpeg(MIN_SIDE_PX - 1, 200)) == "too_small"
    assert decode_jpeg(jpeg(MIN_SIDE_PX, MIN_SIDE_PX), MOST).shape[0] == MIN_SIDE_PX


def test_a_size_of_nothing_is_refused() -> None:
    assert refusal(claiming(0, 240)) == "damaged"


def test_a_picture_with_thousands_of_scans_is_refused_before_it_is_decoded() -> None:
    body = jpeg(320, 240, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    scan = body[body.rindex(b"\xff\xda") : -2]
    assert refusal(body[:-2] + scan * 2000 + b"\xff\xd9") == "too_complex"


@given(st.data())
def test_whatever_is_done_to_the_bytes_a_picture_or_a_named_refusal_comes_out(
    data: st.DataObject,
) -> None:
    body = bytearray(jpeg(64, 48))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at] = data.draw(st.integers(0, 255))
    try:
        image = decode_jpeg(bytes(body), MOST)
    except FrameRefused:
        return
    assert image.dtype == np.uint8
    assert image.shape[0] * image.shape[1] <= MOST

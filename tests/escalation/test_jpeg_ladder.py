"""A picture within its bytes: quality first, size then."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.predictions import boxes, frame, texture

from visionedge.entities import Image
from visionedge.escalation.jpeg import Jpeg, encode
from visionedge.escalation.redact import RedactedImage, Redactor
from visionedge.settings import resolve

REDACTOR = Redactor(resolve([]))


def redacted(image: Image) -> RedactedImage:
    return REDACTOR.redact(frame(image), boxes())


def encoded(
    image: Image, *, max_bytes: int = 180_000, max_side_px: int = 1280, quality: int = 85
) -> Jpeg:
    area = (0, 0, image.shape[1], image.shape[0])
    return encode(
        redacted(image), area, max_side_px=max_side_px, quality=quality, max_bytes=max_bytes
    )


def decoded(jpeg: Jpeg) -> Image:
    image = cv2.imdecode(np.frombuffer(jpeg.body, dtype=np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image.astype(np.uint8)


def smooth(width: int, height: int) -> Image:
    return cv2.GaussianBlur(texture(width, height), (0, 0), 4).astype(np.uint8)


def test_an_easy_picture_keeps_its_size_and_quality() -> None:
    jpeg = encoded(smooth(640, 480))
    assert (jpeg.width, jpeg.height, jpeg.quality) == (640, 480, 85)
    assert decoded(jpeg).shape == (480, 640, 3)


def test_quality_goes_before_size() -> None:
    image = smooth(640, 480)
    jpeg = encoded(image, max_bytes=len(encoded(image).body) - 1)
    assert (jpeg.width, jpeg.height, jpeg.quality) == (640, 480, 75)


def test_below_the_last_quality_the_picture_gets_smaller() -> None:
    jpeg = encoded(texture(640, 480), max_bytes=20_000)
    assert jpeg.quality == 45
    assert jpeg.width < 640
    assert jpeg.width / jpeg.height == pytest.approx(640 / 480, rel=0.02)
    assert 5_000 < len(jpeg.body) <= 20_000


def test_a_quality_below_the_ladder_is_kept() -> None:
    assert encoded(texture(320, 240), quality=30, max_bytes=8_000).quality == 30


def test_a_large_picture_is_scaled_to_its_longest_side() -> None:
    jpeg = encoded(smooth(400, 1000), max_side_px=500)
    assert (jpeg.width, jpeg.height) == (200, 500)


def test_a_small_picture_is_not_scaled_up() -> None:
    assert encoded(smooth(64, 48), max_side_px=1280).width == 64


def test_only_the_area_is_encoded() -> None:
    image = np.zeros((100, 200, 3), dtype=np.uint8)
    image[20:60, 120:180] = 255
    jpeg = encode(
        redacted(image), (120, 20, 180, 60), max_side_px=1280, quality=85, max_bytes=99_999
    )
    assert (jpeg.width, jpeg.height) == (60, 40)
    assert decoded(jpeg).min() > 250


@settings(max_examples=40)
@given(
    width=st.integers(1, 500),
    height=st.integers(1, 500),
    max_bytes=st.integers(1024, 30_000),
    quality=st.integers(1, 100),
)
def test_whatever_the_picture_it_fits(
    width: int, height: int, max_bytes: int, quality: int
) -> None:
    jpeg = encoded(texture(width, height), max_bytes=max_bytes, quality=quality)
    assert len(jpeg.body) <= max_bytes
    assert decoded(jpeg).shape[:2] == (jpeg.height, jpeg.width)


def test_a_picture_a_thousand_times_longer_than_high_fits_too() -> None:
    jpeg = encoded(texture(8000, 2), max_bytes=1024, max_side_px=8192)
    assert len(jpeg.body) <= 1024
    assert jpeg.height >= 1

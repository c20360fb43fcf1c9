"""What must not be seen is black, and there is no way around it."""

import ast
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.architecture.sources import Fault, Source, broken, dotted, snippet, sources
from tests.support.predictions import boxes, frame, texture

from visionedge.entities import Image
from visionedge.escalation.redact import RedactedImage, Redactor
from visionedge.settings import resolve

_MAKER = "visionedge.escalation.redact"
_ENCODER = "visionedge.escalation.jpeg"
_MEASURERS = (
    "visionedge.escalation.scenes",
    "visionedge.escalation.quality",
    "visionedge.escalation.novelty",
)
"""They see a frame and give numbers of it, never pixels."""


def redactor(*masks: Any) -> Redactor:  # noqa: ANN401 - polygons as JSON
    return Redactor(resolve([{"cameras": {"line-1": {"kind": "pattern", "masks": list(masks)}}}]))


def redacted(image: Image, *masks: Any) -> RedactedImage:  # noqa: ANN401 - polygons as JSON
    return redactor(*masks).redact(frame(image), boxes())


def white(width: int = 200, height: int = 100) -> Image:
    return np.full((height, width, 3), 255, dtype=np.uint8)


def test_without_zones_the_picture_is_the_frame_and_is_not_copied() -> None:
    image = texture(64, 48)
    picture = redacted(image)
    assert picture.pixels is image
    assert picture.masked == 0


def test_a_zone_is_black_and_all_else_is_untouched() -> None:
    image = texture(200, 100)
    image[image == 0] = 1
    picture = redacted(image, [[0, 0], [0.5, 0], [0.5, 1], [0, 1]])
    assert picture.masked == 1
    assert not picture.pixels[:, :100].any()
    assert np.array_equal(picture.pixels[:, 103:], image[:, 103:])


def test_the_frame_itself_is_not_changed() -> None:
    image = texture(64, 48)
    before = image.copy()
    redacted(image, [[0, 0], [1, 0], [1, 1]])
    assert np.array_equal(image, before)


def test_the_redacted_picture_cannot_be_painted_on() -> None:
    picture = redacted(white(), [[0, 0], [0.5, 0], [0.5, 1]])
    with pytest.raises(ValueError, match="read-only"):
        picture.pixels[0, 0] = 255


def test_a_zone_over_everything_leaves_nothing() -> None:
    assert not redacted(white(), [[0, 0], [1, 0], [1, 1], [0, 1]]).pixels.any()


def test_pixels_that_the_border_only_touches_are_black() -> None:
    # On 200 pixels the border cuts through the last tenth of pixel 50.
    pixels = redacted(white(), [[0.2545, 0.25], [0.7, 0.25], [0.7, 0.7], [0.2545, 0.7]]).pixels
    assert not pixels[30:60, 50:140].any()
    assert pixels[50, 45].all()


def test_a_zone_that_crosses_itself_hides_all_that_it_encloses() -> None:
    star = [[0.5, 0.02], [0.8, 0.95], [0.02, 0.38], [0.98, 0.38], [0.2, 0.95]]
    assert not redacted(white(), star).pixels[50, 100].any()


def test_zones_that_overlap_hide_the_overlap_too() -> None:
    left = [[0, 0], [0.6, 0], [0.6, 1], [0, 1]]
    right = [[0.4, 0], [1, 0], [1, 1], [0.4, 1]]
    picture = redacted(white(), left, right)
    assert picture.masked == 2
    assert not picture.pixels.any()


def test_a_zone_thinner_than_a_pixel_still_hides_the_line_it_lies_on() -> None:
    pixels = redacted(white(), [[0.5, 0], [0.5, 1], [0.50001, 0.5]]).pixels
    assert not pixels[:, 100].any()


def test_a_camera_that_changes_its_size_is_masked_in_the_new_size_too() -> None:
    half = redactor([[0, 0], [0.5, 0], [0.5, 1], [0, 1]])
    for width, height in ((200, 100), (64, 48), (200, 100)):
        pixels = half.redact(frame(white(width, height)), boxes()).pixels
        assert not pixels[:, : width // 2].any()
        assert pixels[:, width // 2 + 3 :].all()


def test_each_camera_has_its_own_zones() -> None:
    cameras = {
        "a": {"kind": "pattern", "masks": [[[0, 0], [1, 0], [1, 1], [0, 1]]]},
        "b": {"kind": "pattern"},
    }
    both = Redactor(resolve([{"cameras": cameras}]))
    assert not both.redact(frame(white(), camera_id="a"), boxes()).pixels.any()
    assert both.redact(frame(white(), camera_id="b"), boxes()).pixels.all()


def test_a_camera_that_the_settings_do_not_know_gives_no_picture_at_all() -> None:
    with pytest.raises(KeyError):
        redactor().redact(frame(white(), camera_id="unknown"), boxes())


def ways_around(source: Source) -> Iterator[Fault]:
    """Where a redacted picture is made, or a picture is read or encoded, outside its place."""
    in_escalation = source.is_in("visionedge.escalation")
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and source.module != _MAKER:
            called = dotted(node.func)
            copied = called.endswith("replace") and "pixels" in {k.arg for k in node.keywords}
            if called.endswith("RedactedImage") or copied:
                yield Fault(source.path, node.lineno, f"only {_MAKER} makes a RedactedImage")
            if called.endswith("imencode") and in_escalation and source.module != _ENCODER:
                yield Fault(source.path, node.lineno, f"only {_ENCODER} encodes what leaves")
        stranger = in_escalation and source.module not in (_MAKER, *_MEASURERS)
        if isinstance(node, ast.Attribute) and stranger and dotted(node).endswith("frame.image"):
            yield Fault(source.path, node.lineno, f"only {_MAKER} sees the frame itself")


def test_no_picture_leaves_around_redaction() -> None:
    faults = broken(ways_around, sources("modules"))
    assert not faults, f"every picture is redacted first:\n{faults}"


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("visionedge.pipeline", "RedactedImage(frame.image, 0)"),
        ("visionedge.escalation.snapshot", "redact.RedactedImage(pixels, masked=0)"),
        ("visionedge.escalation.snapshot", "dataclasses.replace(image, pixels=raw)"),
        ("visionedge.escalation.snapshot", "cv2.imencode('.jpg', pixels)"),
        ("visionedge.escalation.snapshot", "pixels = frame.image"),
    ],
)
def test_a_way_around_redaction_is_found(module: str, text: str) -> None:
    assert list(ways_around(snippet(module, text)))

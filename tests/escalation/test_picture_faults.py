"""A bad picture is a fault of the camera: reported once, and not asked about."""

import cv2
import numpy as np
import pytest
from tests.support.predictions import boxes, frame

from visionedge.cameras.scene import LineSpec, VirtualLine
from visionedge.entities import Action, Image
from visionedge.escalation.decide import Decider
from visionedge.escalation.quality import PictureWatch
from visionedge.settings import resolve

SHAPE = (240, 320, 3)
RNG = np.random.default_rng(3)


def line(count: int, first: int = 0) -> list[Image]:
    """Frames of the virtual line, one a second, boards and bare belt in turn."""
    scene = VirtualLine(LineSpec(width_px=640, height_px=360, fps=30))
    return [scene.render(30 * number) for number in range(first, first + count)]


def blurred(image: Image) -> Image:
    return cv2.GaussianBlur(image, (0, 0), 4).astype(np.uint8)


def changes(watch: PictureWatch, images: list[Image], first_s: float) -> list[tuple[int, str]]:
    """After which picture the fault changed, and to what; a picture a second."""
    return [
        (number, watch.fault)
        for number, image in enumerate(images)
        if watch.look(frame(image, captured_s=first_s + number))
    ]


@pytest.mark.parametrize(
    ("image", "fault"),
    [
        (np.zeros(SHAPE, np.uint8), "dark"),
        (RNG.integers(0, 20, SHAPE).astype(np.uint8), "dark"),
        (np.full(SHAPE, 255, np.uint8), "over_exposed"),
        (RNG.integers(0, 256, SHAPE).astype(np.uint8), ""),
    ],
)
def test_dark_and_over_exposed_pictures_are_told_after_five_looks(image: Image, fault: str) -> None:
    told = changes(PictureWatch(), [image] * 9, 0)
    assert told == ([(4, fault)] if fault else [])


def test_a_night_picture_with_one_lamp_is_not_dark() -> None:
    night = np.zeros(SHAPE, np.uint8)
    night[100:140, 100:140] = 200
    assert changes(PictureWatch(), [night] * 9, 0) == []


def test_a_lens_that_loses_focus_is_told_once_and_told_again_when_it_is_mended() -> None:
    watch = PictureWatch()
    assert changes(watch, line(40), 0) == []
    assert changes(watch, [blurred(image) for image in line(60, 40)], 40) == [(4, "blurred")]
    assert changes(watch, line(20, 100), 100) == [(4, "")]


def test_a_hand_before_the_lens_is_no_fault() -> None:
    watch = PictureWatch()
    dark = np.zeros(SHAPE, np.uint8)
    good = RNG.integers(0, 256, SHAPE).astype(np.uint8)
    assert changes(watch, [good, dark, dark, dark, good] * 9, 0) == []


@pytest.mark.slow
def test_a_sound_line_is_never_called_bad() -> None:
    assert changes(PictureWatch(), line(150), 0) == []


def test_doubt_about_a_bad_picture_is_not_sent_and_the_camera_is_reported() -> None:
    told: list[tuple[str, str]] = []
    document = {
        "models": {"default": {"path": "m", "floor": 0.1}},
        "escalation": {"min_interval_s": 0, "one_per_object": False, "control_per_hour": 3600},
    }
    decider = Decider(resolve([document]), 1, on_fault=lambda *what: told.append(what))
    dark = np.zeros(SHAPE, np.uint8)
    first = decider.decide(frame(dark, captured_s=0), boxes(0.4))
    assert first.action is Action.ESCALATE
    later = [decider.decide(frame(dark, captured_s=t), boxes(0.4)) for t in range(1, 20)]
    assert told == [("line-1", "dark")]
    assert (later[-1].action, later[-1].reason) == (Action.SUPPRESS, "bad_picture")
    sure = decider.decide(frame(dark, captured_s=60), boxes(0.99))
    assert sure.action is Action.ACCEPT
    good = RNG.integers(0, 256, SHAPE).astype(np.uint8)
    for t in range(70, 80):
        last = decider.decide(frame(good.copy(), captured_s=t), boxes(0.4))
    assert told[1:] == [("line-1", "")]
    assert last.action is Action.ESCALATE

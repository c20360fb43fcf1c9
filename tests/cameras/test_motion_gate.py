"""Only frames in which something has changed are worth looking at, where that is asked for."""

from datetime import UTC, datetime

import numpy as np
import pytest

from visionedge.cameras.guard import Shot
from visionedge.cameras.intake import Intake
from visionedge.cameras.judges import MotionGate
from visionedge.entities import Frame, Image
from visionedge.metrics import Metrics
from visionedge.runtime.slot import LatestSlots
from visionedge.settings import MotionSettings, PatternCamera

SECOND_NS = 1_000_000_000
RNG = np.random.default_rng(3)


def picture(noise: float = 3.0) -> Image:
    """A grey 1080p frame with the noise of a sensor."""
    grey = RNG.normal(100, noise, (1080, 1920, 3))
    return grey.clip(0, 255).astype(np.uint8)


def gate(at_least_every_s: float = 5.0) -> MotionGate:
    motion = MotionSettings()
    return MotionGate(motion.level, motion.share, at_least_every_s)


def test_the_first_frame_is_looked_at_and_noise_is_no_motion() -> None:
    asked = gate()
    assert asked.admits(picture(), 0)
    assert not any(asked.admits(picture(), number) for number in range(1, 10))


@pytest.mark.parametrize(("left", "top"), [(0, 0), (937, 503), (1895, 1055)])
def test_a_part_of_24_pixels_is_seen_wherever_it_appears(left: int, top: int) -> None:
    asked = gate()
    asked.admits(picture(), 0)
    moved = picture()
    moved[top : top + 24, left : left + 24] = 200
    assert asked.admits(moved, 1)


def test_a_slow_change_adds_up_until_it_is_seen() -> None:
    asked = gate()
    base = picture(0)
    assert asked.admits(base, 0)
    seen = [asked.admits(base + np.uint8(step), step) for step in range(1, 50)]
    assert sum(seen) == 2
    assert seen.index(True) == 20


def test_something_is_looked_at_every_few_seconds_whatever_happens() -> None:
    asked, still = gate(at_least_every_s=2.0), picture(0)
    seen = [asked.admits(still, round(tenth / 10 * SECOND_NS)) for tenth in range(61)]
    assert [number for number, each in enumerate(seen) if each] == [0, 20, 40, 60]


def test_another_size_is_a_change() -> None:
    asked = gate()
    asked.admits(picture(), 0)
    assert asked.admits(picture()[:720, :1280], 1)


def test_frames_without_a_change_are_counted_as_that() -> None:
    metrics, slots = Metrics(), LatestSlots[Frame]()
    camera = PatternCamera.model_validate({"kind": "pattern", "motion": {}})
    intake, still = Intake("line-1", camera, slots, metrics), picture(0)
    made = [
        intake.frame(Shot(datetime.now(UTC), number, still.copy()), live=False)
        for number in range(10)
    ]
    assert [frame is not None for frame in made] == [True] + [False] * 9
    labels = {"camera": "line-1", "cause": "unchanged"}
    assert metrics.value("visionedge_frames_dropped_total", labels) == 9

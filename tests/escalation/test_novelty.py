"""A picture unlike all before it is doubted where that is wanted; a small defect is not new."""

import numpy as np
import pytest
from tests.support.predictions import boxes, frame

from visionedge.cameras.scene import LineSpec, VirtualLine
from visionedge.entities import Image
from visionedge.escalation.decide import Decider
from visionedge.escalation.novelty import NoveltyWatch
from visionedge.escalation.policies.novelty import Novelty
from visionedge.escalation.policy import Context, Doubt
from visionedge.escalation.reading import read
from visionedge.escalation.thresholds import Thresholds
from visionedge.settings import DecisionSettings, resolve

LINE = VirtualLine(LineSpec(width_px=640, height_px=360, lot_size=1))


def noisy(level: int, seed: int) -> Image:
    chance = np.random.default_rng(seed)
    return np.clip(chance.normal(level, 8, (120, 160, 3)), 0, 255).astype(np.uint8)


def learned() -> NoveltyWatch:
    watch = NoveltyWatch()
    for seed in range(150):
        watch.of(noisy(120, seed))
    return watch


def test_more_of_the_same_is_not_new() -> None:
    watch = learned()
    assert max(watch.of(noisy(120, 1000 + seed)) for seed in range(50)) < 0.5


@pytest.mark.parametrize("other", [noisy(200, 1), noisy(40, 1), 255 - noisy(20, 2)])
def test_another_light_is_new(other: Image) -> None:
    assert learned().of(other) > 0.8


def test_another_pattern_of_the_same_light_is_new() -> None:
    stripes = noisy(120, 3)
    stripes[:, ::8] = 0
    stripes[:, 4::8] = 240
    assert learned().of(stripes) > 0.8


def test_a_defect_of_a_few_pixels_is_not_new() -> None:
    watch, spot = learned(), noisy(120, 5000)
    spot[60:64, 80:84] = 0
    assert watch.of(spot) < 0.5


def test_nothing_is_new_before_enough_was_seen() -> None:
    watch = NoveltyWatch()
    assert [watch.of(noisy(10 * n, n)) for n in range(20)] == [0.0] * 20


@pytest.mark.slow
def test_boards_of_the_line_are_not_new_to_it_and_a_dark_one_is() -> None:
    watch = NoveltyWatch()
    pictures = [LINE.render(30 * n) for n in range(120)]
    seen = [watch.of(picture) for picture in pictures]
    assert np.median(seen[-40:]) < 0.5
    assert watch.of((pictures[-1] // 5).astype(np.uint8)) > 0.8


def test_the_rule_says_half_of_how_new_it_is_and_nothing_where_it_is_off() -> None:
    rule, seen = Novelty(0.6), read(boxes(0.9), Thresholds(DecisionSettings()))
    assert rule.judge(seen, Context()) is None
    seen.novelty = 0.6
    assert rule.judge(seen, Context()) is None
    seen.novelty = 0.8
    assert rule.judge(seen, Context()) == Doubt("novelty", 0.4)
    assert Novelty(1.0).judge(seen, Context()) is None


def test_a_new_picture_is_escalated_though_the_model_is_sure() -> None:
    decider = Decider(resolve([{"decision": {"novelty": 0.7}}]), 1)
    for n in range(100):
        decider.decide(frame(noisy(120, n), captured_s=n), boxes(0.95))
    assert decider.decide(frame(noisy(120, 200), captured_s=200), boxes(0.95)).reason == "confident"
    assert decider.decide(frame(noisy(220, 201), captured_s=201), boxes(0.95)).reason == "novelty"

"""The least decision says what the module says; else it would be the floor of something else."""

from collections import Counter

import numpy as np
import pytest
from bench.least_decision import LeastDecision
from tests.support.predictions import boxes, frame

from visionedge.entities import Decision, Detections, Frame
from visionedge.escalation.decide import Decider
from visionedge.settings import resolve

FLOOR = 0.05
FRAMES = 400
FRAME_S = 1 / 15


def crowd(rng: np.random.Generator, number: int) -> Detections:
    """A few objects that pass the line, of which the model is more or less sure."""
    lanes = np.arange(6)
    # Each lane has an object in every second gap, another one each time.
    along = (number * 25.0 + 90 * lanes) % 900 - 100
    there = (along > 0) & (along < 600) & (rng.random(6) < 0.9)
    confidence = np.clip(rng.normal(0.2 + 0.13 * lanes, 0.15), FLOOR, 1)[there]
    order = np.argsort(-confidence)
    x, y = (along[there] + rng.normal(0, 2, there.sum()))[order], (70.0 * lanes[there])[order]
    where = [(a, b, a + 40, b + 40) for a, b in zip(x, y, strict=True)]
    names = np.where(rng.random(len(where)) < 0.2, 1, 0)
    return boxes(*confidence[order], class_id=names.tolist(), xyxy=where)


def with_rivals(found: Detections) -> Detections:
    """The same, and on the surest object the other name as well, a little less sure."""
    again = [*range(len(found))]
    again[:1] = [0, 0] if again else []
    confidence, names = found.confidence[again].copy(), found.class_id[again].copy()
    if len(again) > 1:
        confidence[1] = max(confidence[1] - 0.1, *confidence[2:3], FLOOR)
        names[1] = 1 - names[0]
    return Detections(found.xyxy[again], confidence, names, found.labels)


def due(view: tuple[Frame, Decision]) -> int:
    """When the question is due that this is the best view of."""
    question = view[1].question
    assert question is not None
    return question.due_ns


@pytest.mark.parametrize("seed", range(4))
def test_it_decides_on_a_passing_crowd_as_the_module_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    camera = {"kind": "file", "path": "clip.mp4"}
    model = {"path": "model", "floor": FLOOR}
    settings = resolve([{"cameras": {"line-1": camera}, "models": {"default": model}}])
    ours, least = Decider(settings, 1), LeastDecision(FLOOR)
    best: tuple[Frame, Decision] | None = None
    view = 0.0
    reasons: Counter[str] = Counter()
    asked = 0
    for number in range(FRAMES):
        found = crowd(rng, number)
        shot = frame(seq=number, captured_s=100 + number * FRAME_S)
        if number % 5 == 0:
            found = with_rivals(found)
        if best is not None and due(best) <= shot.captured_ns:
            # As the thread does that takes questions that are due.
            ours.admit(*best, shot.captured_ns)
            best, asked = None, asked + 1
        decision, word = ours.decide(shot, found), least(shot, found)
        question = decision.question
        if question is not None and (best is None or question.view > view):
            best, view = (shot, decision), question.view
        assert word.score == pytest.approx(decision.score, abs=1e-6)
        assert word.view == pytest.approx(question.view if question else 0.0, abs=1e-6)
        assert word.worth == pytest.approx(question.value if question else 0.0, abs=1e-6)
        assert (word.reason == "") == (decision.reason == "confident")
        if question is not None:
            assert word.reason == question.reason
        reasons[word.reason] += 1
    assert reasons.keys() >= {"rivals", "below_threshold", "close_to_threshold", "unstable"}
    assert asked > FRAMES * FRAME_S / 10

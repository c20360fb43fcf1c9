"""One doubt about one object is asked once, by the best view of it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.support.predictions import boxes, classes, frame, texture

from visionedge.entities import Action, Decision, Detections, Frame
from visionedge.escalation.decide import Decider
from visionedge.escalation.reading import read
from visionedge.escalation.thresholds import Thresholds
from visionedge.escalation.tracks import Tracks
from visionedge.settings import DecisionSettings, resolve

SPEED_PX_S = 240.0
UNSURE, SURE = 0.4, 0.95
THRESHOLDS = Thresholds(DecisionSettings(accept=0.5))


def decider(before: Decider | None = None, **escalation: Any) -> Decider:  # noqa: ANN401 - settings as JSON
    document = {
        "decision": {"accept": 0.5, "unstable": 1.0},
        "models": {"default": {"path": "m", "floor": 0.1}},
        "escalation": {"min_interval_s": 0, "view_wait_s": 1.0, **escalation},
    }
    return Decider(resolve([document]), 1, before)


def at(x: float, y: float, confidence: float, size: float = 30) -> Detections:
    return boxes(confidence, xyxy=[(x, y, x + size, y + size)])


def passing(
    fps: float, confidence: float, start_s: float = 100.0
) -> Iterator[tuple[Frame, Detections]]:
    """One object crosses 640 pixels from right to left."""
    for i in range(int(600 / SPEED_PX_S * fps)):
        t = i / fps
        yield frame(captured_s=start_s + t, seq=i), at(600 - SPEED_PX_S * t, 200, confidence)


def asked(decider: Decider, frames: Iterator[tuple[Frame, Detections]]) -> list[Decision]:
    """What is escalated, each question closed when the camera's clock has passed it."""
    best: dict[str, tuple[Frame, Decision]] = {}
    sent = []
    for shot, prediction in frames:
        for id_, (view, decision) in list(best.items()):
            assert decision.question is not None
            if decision.question.due_ns <= shot.captured_ns:
                del best[id_]
                if not decider.admit(view, decision, shot.captured_ns):
                    sent.append(decision)
        decision = decider.decide(shot, prediction)
        question = decision.question
        if question is None:
            continue
        known = best.get(question.id)
        if decision.action is Action.ESCALATE:
            assert known is None
            best[question.id] = shot, decision
        elif known and known[1].question and question.view > known[1].question.view:
            best[question.id] = shot, decision
    return sent + [d for view, d in best.values() if not decider.admit(view, d, 0)]


def due_after_s(cameras: list[str]) -> list[float]:
    """How long each camera's question waits for a better view, asked at the same moment."""
    document = {
        "cameras": {name: {"kind": "pattern", "fps": 1} for name in cameras},
        "escalation": {"view_wait_s": 2.0},
    }
    line, waits = Decider(resolve([document]), 1), []
    for name in cameras:
        shot = frame(captured_s=100, camera_id=name)
        question = line.decide(shot, at(300, 200, UNSURE)).question
        assert question is not None
        waits.append((question.due_ns - shot.captured_ns) / 1e9)
    return waits


def test_cameras_that_see_the_same_do_not_ask_at_the_same_moment() -> None:
    assert due_after_s(["d", "b", "c", "a"]) == [2.375, 2.125, 2.25, 2.0]
    assert due_after_s(["only"]) == [2.0]


@pytest.mark.parametrize("fps", [5, 10, 30])
def test_an_object_that_crosses_the_picture_in_doubt_is_asked_about_once(fps: float) -> None:
    line = decider()
    frames = list(passing(fps, UNSURE))
    frames += list(passing(fps, UNSURE, start_s=105.0))
    assert len(asked(line, iter(frames))) == 2


def test_the_view_that_is_sent_is_whole_and_nearer_to_the_middle_than_the_first() -> None:
    line = decider(view_wait_s=2.0)
    (sent,) = asked(line, passing(30, UNSURE))
    first = next(decider().decide(*shot) for shot in passing(30, UNSURE))
    assert sent.question is not None
    assert first.question is not None
    assert sent.question.view > first.question.view
    assert sent.question.reason == "below_threshold"


def test_two_objects_that_come_into_view_one_after_the_other_share_a_question() -> None:
    frames = []
    for i in range(30):
        left, right = at(300 - 8 * i, 100, UNSURE), at(620 - 8 * i, 300, UNSURE)
        both = boxes(
            UNSURE, UNSURE, xyxy=[tuple(left.xyxy[0].tolist()), tuple(right.xyxy[0].tolist())]
        )
        frames.append((frame(captured_s=100 + i / 30), both if i > 5 else left))
    (sent,) = asked(decider(), iter(frames))
    assert sent.question is not None
    assert len(sent.question.tracks) == 2


def test_an_object_that_grows_sure_as_it_comes_nearer_is_not_asked_about() -> None:
    frames = [
        (shot, at(prediction.xyxy[0, 0], 200, UNSURE if i < 3 else SURE))
        for i, (shot, prediction) in enumerate(passing(30, SURE))
    ]
    assert asked(decider(), iter(frames)) == []


def test_an_object_that_stays_close_above_its_threshold_is_asked_about() -> None:
    sent = asked(decider(), passing(30, 0.55))
    assert [d.question.reason for d in sent if d.question] == ["close_to_threshold"]


def test_what_stands_still_is_asked_about_again_after_its_time_and_not_before() -> None:
    line = decider(ask_again_s=60, view_wait_s=0)
    still = [(frame(captured_s=100 + t), at(300, 200, UNSURE)) for t in range(0, 130)]
    assert len(asked(line, iter(still))) == 3


def test_a_change_of_settings_asks_nothing_twice() -> None:
    old = decider(view_wait_s=0)
    first, second = frame(captured_s=100), frame(captured_s=100.1)
    decision = old.decide(first, at(300, 200, UNSURE))
    assert old.admit(first, decision, 0) == ""
    assert decider(old).decide(second, at(298, 200, UNSURE)).reason == "asked"


def test_a_question_that_was_given_up_is_asked_by_a_later_frame() -> None:
    line = decider()
    first = frame(captured_s=100)
    decision = line.decide(first, at(300, 200, UNSURE))
    assert line.decide(frame(captured_s=100.1), at(298, 200, UNSURE)).reason == "same_object"
    line.give_up(first, decision)
    again = line.decide(frame(captured_s=102.0), at(296, 200, UNSURE))
    assert again.action is Action.ESCALATE


@pytest.mark.parametrize("how", ["admit", "settle", "give_up"])
def test_an_object_that_comes_when_a_question_has_ended_is_asked_about(how: str) -> None:
    """Frames are decided later than they were captured: that one was not due yet."""
    line = decider()
    first = frame(captured_s=100)
    decision = line.decide(first, at(300, 200, UNSURE))
    if how == "admit":
        assert line.admit(first, decision, 0) == ""
    else:
        getattr(line, how)(first, decision)
    both = boxes(UNSURE, UNSURE, xyxy=[(298, 200, 328, 230), (20, 300, 50, 330)])
    other = line.decide(frame(captured_s=100.9), both)
    assert other.action is Action.ESCALATE
    assert other.question
    assert decision.question
    assert other.question.id != decision.question.id
    assert len(other.question.tracks) == 1 + (how == "give_up")


def test_one_doubtful_box_behind_many_good_ones_is_asked_about() -> None:
    crowd = boxes(*[SURE] * 80, UNSURE)
    assert decider().decide(frame(), crowd).action is Action.ESCALATE


def test_the_same_scene_with_the_same_prediction_is_asked_about_once_in_a_while() -> None:
    line = decider(ask_again_s=60)
    picture = texture(640, 480)
    wavering = classes(0.45, 0.44, 0.11)
    reasons = [
        line.decide(frame(picture, captured_s=t), wavering).reason for t in (100, 101, 159, 161)
    ]
    assert reasons == ["margin", "repeated", "repeated", "margin"]


def test_another_scene_or_another_prediction_of_the_same_one_is_asked_about() -> None:
    line = decider()
    wavering = classes(0.45, 0.44, 0.11)
    assert line.decide(frame(texture(640, 480, seed=1)), wavering).action is Action.ESCALATE
    assert line.decide(frame(texture(640, 480, seed=2)), wavering).action is Action.ESCALATE
    other = classes(0.11, 0.44, 0.45)
    assert line.decide(frame(texture(640, 480, seed=1)), other).action is Action.ESCALATE


def test_sensor_noise_does_not_make_another_scene() -> None:
    line = decider()
    ramp = np.tile(np.linspace(0, 250, 640), (480, 1))[..., None].repeat(3, axis=2)
    rng = np.random.default_rng(1)
    for i, reason in enumerate(["margin"] + ["repeated"] * 20):
        noisy = np.clip(ramp + rng.normal(0, 3, ramp.shape), 0, 255).astype(np.uint8)
        decision = line.decide(frame(noisy, captured_s=100 + i), classes(0.4, 0.35, 0.25))
        assert decision.reason == reason


def test_a_track_that_flickers_is_doubted_and_a_steady_one_is_not() -> None:
    frames = list(passing(30, SURE))
    document = {"decision": {"accept": 0.5, "close": 0, "unstable": 0.8}}
    wild, calm = (Decider(resolve([document]), 1) for _ in range(2))
    names = set()
    for i, (shot, prediction) in enumerate(frames):
        named = Detections(
            prediction.xyxy,
            prediction.confidence,
            np.array([i % 2], np.int32),
            prediction.labels,
        )
        decision = wild.decide(shot, named)
        names |= {decision.question.reason} if decision.question else set()
        assert calm.decide(shot, prediction).action is Action.ACCEPT
    assert names == {"unstable"}


def test_late_frames_are_matched_with_where_the_object_was_and_move_nothing() -> None:
    tracks = Tracks()
    shots = list(passing(10, UNSURE))
    for i in (0, 1, 2, 4, 3, 6, 5, 7):
        (track,) = tracks.observe(read(shots[i][1], THRESHOLDS), 0.1, shots[i][0].captured_ns)
        assert track.id == 1
    assert len(tracks) == 1


def test_objects_out_of_sight_are_forgotten() -> None:
    tracks = Tracks()
    for i in range(200):
        tracks.observe(read(at(10, 10, SURE), THRESHOLDS), 0.1, i * 3_000_000_000)
    assert len(tracks) == 1

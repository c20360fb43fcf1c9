"""What becomes of doubt: escalated, or suppressed with a reason."""

import threading
from typing import Any

import pytest
from tests.support.predictions import boxes, classes, frame

from visionedge.entities import Action, Decision, Provisional
from visionedge.escalation.decide import Decider
from visionedge.settings import resolve

PLAIN = {
    "decision": {"accept": 0.5, "margin": 0.15},
    "models": {"default": {"path": "m", "floor": 0.1}},
}
SURE = boxes(0.9)
UNSURE = boxes(0.4)


def decider(before: Decider | None = None, *, revision: int = 7, **sections: Any) -> Decider:  # noqa: ANN401 - settings as JSON
    return Decider(resolve([PLAIN, sections]), revision, before)


def paced_decider(
    interval_s: float, before: Decider | None = None, *, revision: int = 7
) -> Decider:
    """One that takes each frame for itself, so that only the interval holds it back."""
    pace = {"min_interval_s": interval_s, "one_per_object": False}
    return decider(before, revision=revision, escalation=pace)


def test_a_sure_prediction_is_accepted_with_the_revision_that_judged_it() -> None:
    assert decider().decide(frame(), SURE) == Decision(Action.ACCEPT, "confident", 0.0, 7)


def test_a_doubtful_prediction_is_escalated_with_its_reason_and_score() -> None:
    decision = decider().decide(frame(), UNSURE)
    assert (decision.action, decision.reason) == (Action.ESCALATE, "below_threshold")
    assert decision.provisional is Provisional.BEST_GUESS
    assert decision.score == pytest.approx(0.75, abs=1e-6)


def test_the_strongest_doubt_names_the_reason_and_a_tie_goes_to_the_narrower_rule() -> None:
    strict = decider(decision={"accept": 0.9, "margin": 0.2}, escalation={"min_interval_s": 0})
    assert strict.decide(frame(), classes(0.7, 0.2, 0.1)).reason == "below_threshold"
    assert strict.decide(frame(), classes(0.5, 0.45, 0.05)).reason == "margin"


def test_an_empty_scene_is_escalated_only_on_the_camera_that_expects_objects() -> None:
    cameras = {
        "belt": {"kind": "pattern", "expect_objects": True},
        "yard": {"kind": "pattern", "expect_objects": False},
    }
    both = decider(cameras=cameras)
    assert both.decide(frame(camera_id="belt"), boxes()).reason == "nothing_seen"
    assert both.decide(frame(camera_id="yard"), boxes()).action is Action.ACCEPT


def test_the_floor_is_that_of_the_cameras_model() -> None:
    models = {"default": {"path": "m", "floor": 0.45}}
    assert decider(models=models).decide(frame(), UNSURE).action is Action.ACCEPT


def test_a_frame_of_a_camera_that_was_just_removed_is_still_decided_on() -> None:
    assert decider().decide(frame(camera_id="gone"), UNSURE).action is Action.ESCALATE


def test_doubts_too_soon_after_an_escalation_are_suppressed_until_the_interval_is_over() -> None:
    paced = paced_decider(2.0)
    decisions = [
        paced.decide(frame(captured_s=100 + at), UNSURE) for at in (0.0, 0.5, 1.999, 2.0, 3.0)
    ]
    assert [d.reason for d in decisions] == [
        "below_threshold",
        "too_soon",
        "too_soon",
        "below_threshold",
        "too_soon",
    ]
    assert decisions[1].action is Action.SUPPRESS
    assert decisions[1].score == decisions[0].score


def test_a_sure_frame_does_not_use_up_the_interval() -> None:
    paced = paced_decider(2.0)
    paced.decide(frame(captured_s=100), SURE)
    assert paced.decide(frame(captured_s=100.1), UNSURE).action is Action.ESCALATE


def test_each_camera_has_an_interval_of_its_own() -> None:
    paced = paced_decider(2.0)
    for camera in ("a", "b"):
        assert paced.decide(frame(camera_id=camera), UNSURE).action is Action.ESCALATE


def test_workers_that_finish_out_of_order_do_not_escalate_twice_within_the_interval() -> None:
    paced = paced_decider(2.0)
    paced.decide(frame(captured_s=101), UNSURE)
    assert paced.decide(frame(captured_s=100), UNSURE).reason == "too_soon"
    assert paced.decide(frame(captured_s=102.9), UNSURE).reason == "too_soon"


def test_an_old_frame_that_is_late_does_not_set_the_interval_back() -> None:
    paced = paced_decider(2.0)
    for captured_s in (110, 100):
        assert paced.decide(frame(captured_s=captured_s), UNSURE).action is Action.ESCALATE
    assert paced.decide(frame(captured_s=111), UNSURE).reason == "too_soon"


def test_without_an_interval_every_doubt_is_escalated_also_out_of_order() -> None:
    free = paced_decider(0)
    for captured_s in (101.0, 100.0, 101.0):
        assert free.decide(frame(captured_s=captured_s), UNSURE).action is Action.ESCALATE


def test_many_workers_at_once_escalate_one_frame_an_interval() -> None:
    paced = paced_decider(60)
    start = threading.Barrier(8)
    decisions: list[Decision] = []

    def work() -> None:
        start.wait(10)
        decisions.extend(paced.decide(frame(captured_s=100), UNSURE) for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sum(d.action is Action.ESCALATE for d in decisions) == 1
    assert len(decisions) == 400


def test_disabled_sends_nothing_and_still_tells_the_doubt() -> None:
    off = decider(escalation={"enabled": False})
    decision = off.decide(frame(), UNSURE)
    assert (decision.action, decision.reason) == (Action.SUPPRESS, "disabled")
    assert decision.score > 0
    assert off.decide(frame(), SURE).reason == "confident"


def test_a_change_of_settings_does_not_open_the_gate_again() -> None:
    old = paced_decider(2.0)
    old.decide(frame(captured_s=100), UNSURE)
    new = paced_decider(2.0, old, revision=8)
    decision = new.decide(frame(captured_s=101), UNSURE)
    assert (decision.reason, decision.settings_revision) == ("too_soon", 8)
    # The old one may still finish a frame; both go by one memory.
    assert old.decide(frame(captured_s=101.5), UNSURE).reason == "too_soon"

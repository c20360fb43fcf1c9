"""What may be asked, what is asked first, and the confident frames that go along."""

import random
from typing import Any

import pytest
from tests.support.predictions import boxes, classes, frame

from visionedge.entities import Action, Question
from visionedge.escalation.attention import CameraAttention, worth
from visionedge.escalation.budget import Budget, least_value
from visionedge.escalation.control import ControlSample, stratum_of
from visionedge.escalation.decide import Decider
from visionedge.escalation.views import Views
from visionedge.runtime.clock import FakeClock
from visionedge.settings import resolve

HOUR_NS = 3_600_000_000_000


def budget(before: Budget | None = None, *, cameras: Any = None, **limits: int) -> Budget:  # noqa: ANN401 - settings as JSON
    every = {"frames_per_minute": 0, **limits}
    document = {
        "escalation": {"budget": every},
        "cameras": cameras or {"a": {"kind": "pattern"}, "b": {"kind": "pattern"}},
    }
    return Budget(resolve([document]), before.spending if before else None)


def ask(budget: Budget, camera: str, value: float, now_ns: int, size_bytes: int = 100_000) -> bool:
    if not budget.admits(camera, value, now_ns):
        return False
    budget.spend(camera, size_bytes, now_ns)
    return True


def test_no_limit_admits_everything() -> None:
    free = budget()
    assert all(ask(free, "a", 0.0, 0) for _ in range(1000))


def test_no_more_frames_than_the_budget_go_at_once_however_valuable() -> None:
    ten = budget(frames_per_minute=10)
    assert sum(ask(ten, "a", 1.0, 0) for _ in range(100)) == 10


def test_bytes_are_limited_to_the_budget_and_at_most_one_picture_more() -> None:
    megabyte = budget(bytes_per_hour=1_000_000)
    sent = sum(ask(megabyte, "a", 1.0, 0, 150_000) for _ in range(100))
    assert 1_000_000 <= sent * 150_000 < 1_150_000


def test_the_budget_of_one_camera_is_not_used_up_by_another() -> None:
    cameras = {name: {"kind": "pattern", "budget": {"frames_per_day": 3}} for name in "ab"}
    own = budget(cameras=cameras)
    for name in "ab":
        assert sum(ask(own, name, 1.0, 0) for _ in range(9)) == 3


def test_what_was_spent_is_given_back_evenly_and_outlives_a_change_of_settings() -> None:
    hour = budget(frames_per_hour=60)
    assert sum(ask(hour, "a", 1.0, 0) for _ in range(99)) == 60
    later = budget(hour, frames_per_hour=60)
    assert not ask(later, "a", 1.0, 0)
    assert sum(ask(later, "a", 1.0, HOUR_NS // 4) for _ in range(99)) == 15


def test_a_restart_spends_again_what_was_spent_each_at_its_age() -> None:
    now_ns = 5_000_000_000
    hour = budget(frames_per_hour=60)
    # An hour of two a minute: what was given back meanwhile is given back here as well.
    hour.restore([("a", 100, 3600 - 30 * n) for n in range(120)], now_ns)
    twin = budget(frames_per_hour=60)
    for n in range(120):
        twin.spend("a", 100, HOUR_NS + 30_000_000_000 * n)
    ends_ns = HOUR_NS + 30_000_000_000 * 120
    assert sum(ask(hour, "a", 1.0, now_ns) for _ in range(99)) == 0
    later_ns = HOUR_NS // 60 * 70
    mine = sum(ask(hour, "a", 1.0, now_ns + later_ns) for _ in range(99))
    assert mine == sum(ask(twin, "a", 1.0, ends_ns + later_ns) for _ in range(99)) > 0


def test_a_decider_draws_on_what_an_earlier_process_made() -> None:
    settings = resolve([{"escalation": {"budget": {"frames_per_minute": 1}}}])
    fresh, restarted = Decider(settings, 1), Decider(settings, 1)
    restarted.restore([("line-1", 1000, 2.0)], 0)
    decision = fresh.decide(frame(), boxes(0.4))
    assert fresh.admit(frame(), decision, 0) == ""
    assert restarted.admit(frame(), decision, 0) == "over_budget"


def test_the_bar_is_open_at_first_and_rises_to_the_most_valuable() -> None:
    bars = [least_value(spent / 100) for spent in range(101)]
    assert bars[0] == bars[20] == 0
    assert bars == sorted(bars)
    assert 0.9 < bars[99] <= 1
    assert least_value(1.0) > 1


def test_under_pressure_the_valuable_doubt_goes_and_first_come_first_served_does_worse() -> None:
    chance = random.Random(3)
    values = [chance.random() ** 2 for _ in range(2000)]
    limited = budget(frames_per_day=100)
    kept = [value for value in values if ask(limited, "a", value, 0)]
    first_come = sum(values[:100])
    best = sum(sorted(values)[-100:])
    assert len(kept) <= 100
    assert sum(kept) > 1.3 * first_come
    assert sum(kept) > best / 2


def test_a_rare_class_is_worth_more_than_a_common_one_of_the_same_doubt() -> None:
    camera = CameraAttention()
    for _ in range(50):
        camera.asked("scratch")
    assert worth(0.5, camera.rarity("dent")) > worth(0.5, camera.rarity("scratch")) > 0.2
    assert worth(1.0, camera.rarity("new")) <= 1


def test_a_doubt_over_budget_is_given_up_with_that_cause() -> None:
    document = {
        "decision": {"accept": 0.5},
        "models": {"default": {"path": "m", "floor": 0.1}},
        "escalation": {
            "one_per_object": False,
            "min_interval_s": 0,
            "budget": {"frames_per_minute": 1},
        },
    }
    decider = Decider(resolve([document]), 1)
    causes = []
    for i in range(3):
        shot = frame(captured_s=100 + i)
        decision = decider.decide(shot, boxes(0.49))
        assert decision.action is Action.ESCALATE
        causes.append(decider.admit(shot, decision, 0))
        if not causes[-1]:
            decider.spend("line-1", 1000, 0)
    assert causes == ["", "over_budget", "over_budget"]


def test_the_control_sample_keeps_its_rate_whatever_the_rate_of_frames() -> None:
    for fps in (1, 10):
        sample = ControlSample()
        drawn = sum(
            sample.draws(boxes(0.9), round(i * 1e9 / fps), per_hour=60) for i in range(3600 * fps)
        )
        assert 58 <= drawn <= 60


def test_the_control_sample_is_spread_over_what_is_seen() -> None:
    sample = ControlSample()
    drawn = {"open": 0, "short": 0, "(empty)": 0}
    for i in range(36_000):
        # One in a hundred frames shows a short, one in ten nothing.
        shot = boxes(0.9, class_id=[1]) if i % 100 == 0 else boxes(0.9) if i % 10 else boxes()
        if sample.draws(shot, i * 100_000_000, per_hour=120):
            drawn[stratum_of(shot)] += 1
    assert sum(drawn.values()) > 100
    assert min(drawn.values()) >= 0.8 * max(drawn.values())


def test_no_control_sample_where_it_is_switched_off() -> None:
    sample = ControlSample()
    assert not any(sample.draws(boxes(0.9), i * HOUR_NS, per_hour=0) for i in range(9))


@pytest.mark.parametrize(
    ("prediction", "stratum"),
    [
        (boxes(), "(empty)"),
        (boxes(0.9, class_id=[1]), "short"),
        (classes(0.1, 0.9), "class 1"),
        (classes(0.1, 0.2, multilabel=True), "(empty)"),
        (classes(), "(empty)"),
    ],
)
def test_what_a_confident_frame_stands_for(prediction: Any, stratum: str) -> None:  # noqa: ANN401 - two kinds
    assert stratum_of(prediction) == stratum


def test_a_confident_frame_of_the_control_sample_is_escalated_as_such() -> None:
    document = {"escalation": {"control_per_hour": 3600}}
    decider = Decider(resolve([document]), 1)
    decisions = [decider.decide(frame(captured_s=100 + t), boxes(0.95)) for t in (0, 0.5, 1.5)]
    assert [d.action for d in decisions] == [Action.ACCEPT, Action.ACCEPT, Action.ESCALATE]
    assert decisions[2].reason == "control"
    assert decisions[2].provisional is None


def question(id_: str, value: float, due_s: float = 0, view: float = 1) -> Question:
    return Question(id_, "margin", frozenset(), view, value, 1_000_000_000 + round(due_s * 1e9))


def test_of_what_is_due_the_most_valuable_comes_first() -> None:
    views: Views[str] = Views(9, FakeClock())
    for id_, value in (("dull", 0.1), ("dear", 0.9), ("fair", 0.5)):
        views.open(question(id_, value), id_)
    assert [views.take(0) for _ in range(4)] == ["dear", "fair", "dull", None]


def test_a_question_waits_until_it_is_due_and_then_shows_its_best_view() -> None:
    clock = FakeClock()
    views: Views[str] = Views(9, clock)
    views.open(question("q", 0.5, due_s=2), "first")
    assert views.improve(question("q", 0.5, due_s=2, view=3), "best")
    assert not views.improve(question("q", 0.5, due_s=2, view=2), "worse")
    assert views.take(0) is None
    clock.advance(2)
    assert views.take(0) == "best"
    assert not views.improve(question("q", 0.5, view=9), "too late")


def test_a_full_store_gives_up_what_is_worth_least() -> None:
    views: Views[str] = Views(2, FakeClock())
    assert views.open(question("a", 0.5), "a") is None
    assert views.open(question("b", 0.2), "b") is None
    assert views.open(question("c", 0.9), "c") == "b"
    assert views.open(question("d", 0.1), "d") == "d"


def test_a_closed_store_takes_no_more_and_gives_what_it_has_at_once() -> None:
    views: Views[str] = Views(2, FakeClock())
    views.open(question("a", 0.5, due_s=60), "a")
    views.close()
    assert views.open(question("b", 0.9), "b") == "b"
    assert (views.take(0), views.take(0)) == ("a", None)


def test_a_store_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Views(0)

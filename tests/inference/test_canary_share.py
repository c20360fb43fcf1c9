"""A canary answers its share of the frames, the same ones each time, for as long as it was told."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionedge.inference.model import LoadedModel, load_model
from visionedge.inference.rivals import Rivals
from visionedge.inference.runner import Runner
from visionedge.runtime.clock import FakeClock
from visionedge.settings import DeliverySettings, ModelSettings

BUNDLE = Path("models/pcb-defects")
FRAME = np.full((120, 160, 3), 90, np.uint8)


def model() -> LoadedModel:
    return load_model(BUNDLE, ModelSettings(path=str(BUNDLE)))


_NEVER_RUN = model()


@pytest.fixture(scope="module")
def pair() -> tuple[LoadedModel, LoadedModel]:
    return model(), model()


def canary(
    pair: tuple[LoadedModel, LoadedModel], clock: FakeClock | None = None, **rules: float
) -> Rivals:
    given_rules = DeliverySettings.model_validate({"canary_share": 0.1, **rules})
    rivals = Rivals(*pair, given_rules, clock)
    rivals.canary()
    return rivals


def answer(rivals: Rivals, by: LoadedModel) -> None:
    """Let a frame be answered, and the other one look at it where it wants to."""
    runners = {each: each.runner() for each in (rivals.candidate, rivals.former)}

    def runner_of(model: LoadedModel) -> Runner:
        return runners[model]

    said = runners[by].infer(FRAME)
    rivals.answered(runner_of, lambda other: runners[other].infer(FRAME), by, said)


def drawn(share: float, seqs: range) -> list[int]:
    rules = DeliverySettings.model_validate({"canary_share": share})
    rivals = Rivals(_NEVER_RUN, _NEVER_RUN, rules)
    rivals.canary()
    return [seq for seq in seqs if rivals.stands_in(seq)]


@given(st.floats(0.01, 1), st.integers(0, 10**9), st.integers(1, 40))
def test_the_share_is_kept_over_any_stretch_and_where_only_each_nth_frame_is_taken(
    share: float, first: int, step: int
) -> None:
    seqs = range(first, first + 2000 * step, step)
    assert len(drawn(share, seqs)) == pytest.approx(share * 2000, abs=60)


def test_the_same_frames_are_drawn_each_time_and_more_of_them_where_the_share_grows() -> None:
    seqs = range(5000)
    few, many = drawn(0.1, seqs), drawn(0.3, seqs)
    assert few == drawn(0.1, seqs)
    assert set(few) < set(many)
    assert drawn(0.0, seqs) == []
    assert drawn(1.0, seqs) == list(seqs)


def test_only_a_canary_stands_in(pair: tuple[LoadedModel, LoadedModel]) -> None:
    rivals = Rivals(*pair, DeliverySettings.model_validate({"canary_share": 1.0}))
    assert not rivals.stands_in(0)
    rivals.canary()
    assert rivals.stands_in(0)
    rivals.guard()
    assert not rivals.stands_in(0)


def test_it_ends_after_its_time_and_not_before_it_was_seen_at_work(
    pair: tuple[LoadedModel, LoadedModel],
) -> None:
    clock = FakeClock()
    rivals = canary(pair, clock, canary_s=600)
    for _ in range(25):
        answer(rivals, rivals.candidate)
    clock.advance(599)
    before = rivals.done
    assert rivals.progress() == "canary 75 %"
    clock.advance(2)
    assert [before, rivals.done] == [False, True]
    idle = canary(pair, clock, canary_s=600)
    clock.advance(6000)
    assert not idle.done


def test_what_it_was_held_for_before_a_restart_counts(
    pair: tuple[LoadedModel, LoadedModel],
) -> None:
    clock = FakeClock()
    rivals = canary(pair, clock, canary_s=600)
    rivals.canary(held_s=500)
    clock.advance(50)
    assert rivals.held_s == 550
    assert rivals.progress() == "canary 0 %"


def test_both_are_told_side_by_side_for_the_frames_of_the_canary_only(
    pair: tuple[LoadedModel, LoadedModel],
) -> None:
    rivals = canary(pair)
    answer(rivals, rivals.former)
    for _ in range(3):
        answer(rivals, rivals.candidate)
    told = rivals.told()
    assert (told.phase, told.share, told.frames, told.compared) == ("canary", 0.1, 3, 3)
    assert told.agreement == 1.0
    assert told.candidate_ms
    assert told.active_ms


def test_errors_and_a_share_of_nothing_end_it(pair: tuple[LoadedModel, LoadedModel]) -> None:
    rivals = canary(pair, max_errors=1)
    rivals.failed()
    assert rivals.fault() == ""
    rivals.failed()
    assert "failed on 2" in rivals.fault()
    rivals.rules = DeliverySettings.model_validate({"canary_share": 0.0})
    assert rivals.done

"""What was told to rest rests, over restarts, and not for longer than anybody meant."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from visionedge.pauses import Pauses, Rest
from visionedge.runtime.clock import FakeClock

DAY_S = 86_400.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2026, 11, 21, 8, tzinfo=UTC))


def in_hours(clock: FakeClock, hours: float) -> datetime:
    return clock.utc() + timedelta(hours=hours)


def test_a_paused_camera_is_paused_in_the_next_process_and_a_resumed_one_is_not(
    tmp_path: Path,
) -> None:
    path = tmp_path / "pauses.json"
    pauses = Pauses(path)
    pauses.pause("gate")
    pauses.pause("yard")
    pauses.resume({"gate", "nobody"})
    assert Pauses(path).cameras == {"yard"}


def test_nothing_is_written_where_nothing_changes(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "pauses.json"
    pauses = Pauses(path, clock)
    pauses.resume({"gate"})
    assert pauses.rest(None, DAY_S) is None
    assert not path.exists()


def test_escalations_rest_until_the_time_and_no_longer(clock: FakeClock) -> None:
    pauses, until = Pauses(clock=clock), in_hours(clock, 2)
    assert pauses.rest(until, DAY_S) == Rest(until, until)
    clock.advance(2 * 3600)
    assert pauses.rest(until, DAY_S) is None


def test_a_time_in_the_past_means_nothing(clock: FakeClock) -> None:
    assert Pauses(clock=clock).rest(datetime.min.replace(tzinfo=UTC), DAY_S) is None


def test_a_time_far_ahead_is_obeyed_for_the_longest_pause_and_not_again_after_a_restart(
    tmp_path: Path, clock: FakeClock
) -> None:
    path, far = tmp_path / "pauses.json", datetime.max.replace(tzinfo=UTC)
    end = in_hours(clock, 24)
    assert Pauses(path, clock).rest(far, DAY_S) == Rest(end, far)
    clock.advance(20 * 3600)
    again = Pauses(path, clock)
    assert again.rest(far, DAY_S) == Rest(end, far)
    clock.advance(5 * 3600)
    rest = again.rest(far, DAY_S)
    assert rest is not None
    assert rest.until < clock.utc()


def test_another_word_of_the_cloud_begins_anew(clock: FakeClock) -> None:
    pauses = Pauses(clock=clock)
    pauses.rest(in_hours(clock, 1000), DAY_S)
    clock.advance(DAY_S)
    later = in_hours(clock, 1000)
    assert pauses.rest(later, DAY_S) == Rest(in_hours(clock, 24), later)
    assert pauses.rest(None, DAY_S) is None


@pytest.mark.parametrize(
    "text", ["", "no json", "[]", "[" * 10_000, '{"cameras": 5, "escalations_asked": 1e400}']
)
def test_a_file_that_cannot_be_used_pauses_nothing(
    tmp_path: Path, text: str, clock: FakeClock
) -> None:
    path = tmp_path / "pauses.json"
    path.write_text(text)
    pauses = Pauses(path, clock)
    assert pauses.cameras == frozenset()
    pauses.pause("gate")
    assert Pauses(path).cameras == {"gate"}


def test_a_disk_that_cannot_be_written_costs_the_memory_and_not_the_pause(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    pauses = Pauses(tmp_path / "file" / "pauses.json")
    pauses.pause("gate")
    assert pauses.cameras == {"gate"}


def test_a_clock_that_is_set_back_by_a_year_makes_no_pause_of_a_year(clock: FakeClock) -> None:
    pauses, far = Pauses(clock=clock), in_hours(clock, 24 * 3650)
    assert pauses.rest(far, DAY_S) is not None
    clock.jump(-365 * DAY_S)
    assert pauses.rest(far, DAY_S) == Rest(in_hours(clock, 24), far)
    clock.advance(DAY_S / 2)
    assert pauses.rest(far, DAY_S) == Rest(in_hours(clock, 12), far)

"""The one retry loop: how often, how long between, and when another region is asked."""

import random
import threading
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.cloud import LAPTOP, PlayedBackend, PlayedClock, jpeg

from verifier.asking import Asking, OutOfBudget, Purse
from verifier.breaker import Breaker, BreakerState
from verifier.errors import BackendBusy, BackendMisconfigured, BackendRefused
from verifier.opinion import Backend, Opinion, Picture, Want

PICTURE = Picture(jpeg(), "0" * 64, 64, 48)
WANT = frozenset({Want.OBJECTS})


class CountingPurse:
    """Units, counted."""

    def __init__(self, units: int = 1000) -> None:
        self.units = units

    def purse(self) -> Purse:
        return Purse(self._take, self._give_back)

    def _take(self, units: int) -> str:
        self.units -= units
        return "today" if self.units >= 0 else ""

    def _give_back(self, day: str, units: int) -> None:
        assert day == "today"
        self.units += units


def asking(*backends: PlayedBackend) -> tuple[Asking, PlayedClock]:
    clock = PlayedClock()
    return Asking(backends, clock, rng=random.Random(1)), clock


def ask(asking_: Asking, seconds: float = 300, purse: CountingPurse | None = None) -> Opinion:
    until_s = asking_.clock.monotonic_s() + seconds
    return asking_.ask(PICTURE, WANT, until_s, (purse or CountingPurse()).purse())[1]


def test_a_busy_service_is_asked_three_times_with_growing_pauses() -> None:
    backend = PlayedBackend([BackendBusy("503")])
    asking_, clock = asking(backend)
    with pytest.raises(BackendBusy):
        ask(asking_)
    assert backend.calls == 3
    first, second = clock.waited_s
    assert 0 <= first <= 0.5
    assert 0 <= second <= 1.0


def test_an_answer_at_the_third_try_is_an_answer() -> None:
    backend = PlayedBackend([BackendBusy("429"), BackendBusy("500"), LAPTOP])
    assert ask(asking(backend)[0]) is LAPTOP


@pytest.mark.parametrize("error", [BackendRefused("400"), BackendMisconfigured("401")])
def test_what_would_fail_again_is_asked_once(error: Exception) -> None:
    backend = PlayedBackend([error])
    with pytest.raises(type(error)):
        ask(asking(backend)[0])
    assert backend.calls == 1


def test_retry_after_is_honoured() -> None:
    backend = PlayedBackend([BackendBusy("429", retry_after_s=7), LAPTOP])
    asking_, clock = asking(backend)
    ask(asking_)
    assert clock.waited_s == [7]


def test_a_retry_after_of_an_hour_is_no_reason_to_wait_an_hour() -> None:
    slow = PlayedBackend([BackendBusy("429", retry_after_s=3600)])
    other = PlayedBackend(region="northeurope")
    asking_, clock = asking(slow, other)
    assert ask(asking_) is LAPTOP
    assert clock.waited_s == []
    assert (slow.calls, other.calls) == (1, 1)


def test_a_retry_after_beyond_the_expiry_is_not_waited_for() -> None:
    backend = PlayedBackend([BackendBusy("429", retry_after_s=20)])
    asking_, clock = asking(backend)
    with pytest.raises(BackendBusy):
        ask(asking_, seconds=10)
    assert clock.waited_s == []


def test_the_next_region_is_asked_after_three_failures() -> None:
    down, up = PlayedBackend([BackendBusy("503")]), PlayedBackend(region="northeurope")
    asking_, _ = asking(down, up)
    backend, opinion = asking_.ask(PICTURE, WANT, 1e9, CountingPurse().purse())
    assert opinion is LAPTOP
    assert backend.region == "northeurope"
    assert (down.calls, up.calls) == (3, 1)


def test_a_region_with_a_wrong_key_does_not_stop_one_with_a_right_key() -> None:
    wrong, right = PlayedBackend([BackendMisconfigured("401")]), PlayedBackend()
    assert ask(asking(wrong, right)[0]) is LAPTOP


def test_a_wrong_key_and_a_busy_region_are_worth_another_try() -> None:
    wrong, busy = PlayedBackend([BackendMisconfigured("401")]), PlayedBackend([BackendBusy("5")])
    with pytest.raises(BackendBusy):
        ask(asking(wrong, busy)[0])


def test_wrong_keys_everywhere_are_worth_none() -> None:
    wrong = [PlayedBackend([BackendMisconfigured("401")]) for _ in range(2)]
    with pytest.raises(BackendMisconfigured):
        ask(asking(*wrong)[0])


def test_a_refusal_in_one_region_is_not_argued_with_in_another() -> None:
    first, second = PlayedBackend([BackendRefused("400")]), PlayedBackend()
    with pytest.raises(BackendRefused):
        ask(asking(first, second)[0])
    assert second.calls == 0


def test_a_dead_service_is_left_alone_after_five_failures_and_probed_once() -> None:
    backend = PlayedBackend([BackendBusy("503")])
    asking_, clock = asking(backend)
    for _ in range(4):
        with pytest.raises(BackendBusy):
            ask(asking_)
    assert backend.calls == 5
    with pytest.raises(BackendBusy) as caught:
        ask(asking_)
    assert caught.value.retry_after_s == pytest.approx(30, abs=1)
    clock.advance(30)
    backend.answers = [LAPTOP]
    assert ask(asking_) is LAPTOP
    assert asking_.breakers[0].state is BreakerState.CLOSED


def test_a_probe_that_fails_opens_the_breaker_again() -> None:
    backend = PlayedBackend([BackendBusy("503")])
    asking_, clock = asking(backend)
    for _ in range(3):
        with pytest.raises(BackendBusy):
            ask(asking_)
    clock.advance(30)
    calls = backend.calls
    with pytest.raises(BackendBusy):
        ask(asking_)
    assert backend.calls == calls + 1


def test_only_one_caller_probes() -> None:
    clock = PlayedClock()
    breaker = Breaker(clock)
    for _ in range(5):
        breaker.failed()
    clock.advance(30)
    assert [breaker.admit() for _ in range(3)] == [True, False, False]
    clock.advance(30)
    assert breaker.admit()


def test_half_of_twenty_failures_open_it_though_never_five_in_a_row() -> None:
    breaker = Breaker(PlayedClock())
    for _ in range(9):
        breaker.failed()
        breaker.succeeded()
    assert breaker.admit()
    breaker.failed()
    breaker.succeeded()
    breaker.failed()
    assert not breaker.admit()


@given(st.lists(st.booleans(), max_size=80))
def test_a_breaker_opens_only_with_cause(ended_well: list[bool]) -> None:
    breaker = Breaker(PlayedClock())
    for at, well in enumerate(ended_well):
        if breaker.state is BreakerState.OPEN:
            seen = ended_well[:at]
            in_a_row = len(seen) >= 5 and not any(seen[-5:])
            assert in_a_row or seen[-20:].count(False) >= 10
            return
        breaker.succeeded() if well else breaker.failed()


def test_an_uncharged_failure_costs_no_unit() -> None:
    purse = CountingPurse(10)
    backend = PlayedBackend(
        [BackendBusy("429", billed=False), BackendBusy("no connection", billed=False), LAPTOP]
    )
    ask(asking(backend)[0], purse=purse)
    assert purse.units == 9


def test_a_failure_that_may_be_charged_costs_a_unit() -> None:
    purse = CountingPurse(10)
    ask(asking(PlayedBackend([BackendBusy("500"), LAPTOP]))[0], purse=purse)
    assert purse.units == 8


def test_nothing_is_asked_with_an_empty_purse() -> None:
    backend = PlayedBackend()
    with pytest.raises(OutOfBudget):
        ask(asking(backend)[0], purse=CountingPurse(0))
    assert backend.calls == 0


class Dear(PlayedBackend):
    """One that makes three paid calls a look."""

    def paid_calls(self, want: frozenset[Want]) -> int:
        return 3


def test_a_look_of_several_calls_is_asked_about_only_if_all_of_them_can_be_paid() -> None:
    purse = CountingPurse(5)
    backend = Dear([BackendBusy("429", billed=False), replace(LAPTOP, units=3)])
    ask(asking(backend)[0], purse=purse)
    assert purse.units == 2
    with pytest.raises(OutOfBudget):
        ask(asking(backend)[0], purse=purse)
    assert backend.calls == 2


def test_calls_that_a_look_did_not_need_are_given_back() -> None:
    purse = CountingPurse(5)
    ask(asking(Dear([replace(LAPTOP, units=1)]))[0], purse=purse)
    assert purse.units == 4


def test_a_stop_ends_the_pauses() -> None:
    stop = threading.Event()
    backend = PlayedBackend([BackendBusy("503")])
    asking_ = Asking([backend], PlayedClock(), stop=stop)
    stop.set()
    with pytest.raises(BackendBusy):
        ask(asking_)
    assert backend.calls == 0


def test_each_call_is_told_of() -> None:
    heard: list[tuple[str, str]] = []

    def told(backend: Backend, ended: str, seconds: float) -> None:
        heard.append((backend.region, ended))

    backends = [PlayedBackend([BackendBusy("503")]), PlayedBackend(region="northeurope")]
    ask(Asking(backends, PlayedClock(), told=told))
    assert heard == [("westeurope", "busy")] * 3 + [("northeurope", "ok")]


def test_a_service_that_does_not_answer_is_said_once_and_once_that_it_does_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", logger="verifier.asking")
    backend = PlayedBackend([BackendBusy("no connection to h", billed=False)] * 6 + [LAPTOP])
    asking_, clock = asking(backend)
    for _ in range(3):
        with suppress(BackendBusy):
            ask(asking_)
        clock.advance(31)
    assert ask(asking_) == LAPTOP
    name = f"{backend.name} in {backend.region}"
    assert [record.message for record in caplog.records] == [
        f"{name} is left alone for a while: no connection to h",
        f"{name} answers again",
    ]

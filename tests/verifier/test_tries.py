"""What one escalation may cost where the Vision API has no answer to its picture."""

from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from tests.support.cloud import LAPTOP, META, START, Cloud, PlayedBackend, PlayedClock, body, jpeg
from tests.verifier.test_worker import built_of

from verifier.admit import admit
from verifier.breaker import Breaker
from verifier.claim import MAX_PROBES, MAX_TRIES
from verifier.core import Kind
from verifier.errors import BackendBusy
from verifier.hosts.worker import Worker
from verifier.ledger import Entry
from verifier.opinion import Opinion, Picture, Want
from visionedge.wire import Verdict

BAD = jpeg(shade=10)
DAY_S = 86_400.0


@dataclass(eq=False)
class Choking(PlayedBackend):
    """Fails over one picture, and answers all others."""

    over: int = 0
    error: BackendBusy = field(default_factory=lambda: BackendBusy("HTTP 500"))

    def look(self, picture: Picture, want: frozenset[Want], timeout_s: float) -> Opinion:
        if picture.jpeg != BAD:
            return super().look(picture, want, timeout_s)
        self.over += 1
        raise self.error


def entry_of(cloud: Cloud, message: bytes) -> Entry:
    held = cloud.ledger.find(admit(message, META).case)
    assert held
    return held.entry


def verdict_of(cloud: Cloud, message: bytes) -> Verdict:
    verdict = entry_of(cloud, message).verdict
    assert verdict
    return verdict


def test_a_picture_that_a_service_chokes_on_is_paid_for_a_few_times_and_given_up() -> None:
    backend = Choking()
    cloud = Cloud(backends=[backend], per_hub=100, per_device=50)
    bad = body("bad", picture=BAD, ttl_s=DAY_S)
    goods = [body(f"good-{n}", picture=jpeg(shade=20 + n), ttl_s=DAY_S) for n in range(4)]
    for good in goods:
        cloud.core.handle(bad, META)
        cloud.core.handle(good, META)
        assert verdict_of(cloud, good).status == "verified"
    assert backend.over == MAX_TRIES
    assert cloud.budget.left("line-1") == 50 - MAX_TRIES - len(goods)
    verdict = verdict_of(cloud, bad)
    assert (verdict.status, verdict.reason) == ("unverified", "unanswered")


def test_where_nothing_else_is_asked_it_looks_like_an_outage_and_ends_as_one() -> None:
    backend = Choking()
    cloud = Cloud(backends=[backend], per_hub=100, per_device=50)
    worker = Worker(built_of(cloud), threads=1, clock=cloud.clock)
    bad = body("bad", picture=BAD, ttl_s=DAY_S)
    assert worker.take([(bad, META), (body("good", ttl_s=DAY_S), META)])
    worker.stop()
    assert backend.over == MAX_TRIES - 1 + MAX_PROBES
    assert cloud.budget.left("line-1") == 50 - (MAX_TRIES - 1) - 1
    assert verdict_of(cloud, bad).reason == "unanswered"
    assert verdict_of(cloud, body("good")).status == "verified"


def test_its_tries_are_counted_over_workers_and_restarts() -> None:
    backend = Choking()
    bad = body("bad", picture=BAD, ttl_s=DAY_S)
    cloud = Cloud(backends=[backend])
    for _ in range(9):
        cloud = Cloud(store=cloud.store, clock=cloud.clock, backends=[backend])
        cloud.core.handle(bad, META)
    assert backend.over == MAX_TRIES


def test_a_try_that_costs_nothing_is_not_counted() -> None:
    backend = Choking(error=BackendBusy("HTTP 429", billed=False))
    bad = body("bad", picture=BAD, ttl_s=DAY_S)
    cloud = Cloud(backends=[backend], per_device=50)
    for _ in range(50):
        assert cloud.core.handle(bad, META).kind is Kind.DEFERRED
        cloud.clock.advance(30)
    assert backend.over > MAX_TRIES
    assert entry_of(cloud, bad).tries == 0
    assert cloud.budget.left("line-1") == 50


def test_an_entry_of_an_earlier_release_has_had_no_try() -> None:
    cloud = Cloud()
    mine, held = cloud.ledger.claim(admit(body("a"), META).case)
    assert mine
    earlier = held.entry.model_dump_json(exclude={"tries"})
    assert Entry.model_validate_json(earlier).tries == 0


@pytest.mark.parametrize("deaths", [1, 3])
def test_a_call_in_which_a_worker_died_counts_as_a_try(deaths: int) -> None:
    def dies(_: Picture) -> Opinion:
        raise SystemExit

    cloud = Cloud(backends=[PlayedBackend([dies])])
    for _ in range(deaths):
        with pytest.raises(SystemExit):
            cloud.core.handle(body("a", ttl_s=DAY_S), META)
        cloud.clock.advance(121)
    assert entry_of(cloud, body("a")).tries == deaths


def test_an_outage_of_an_hour_ends_nothing_and_costs_the_device_next_to_nothing() -> None:
    def answers(_: Picture) -> Opinion:
        if cloud.clock.utc() < START + timedelta(hours=1):
            raise BackendBusy("HTTP 503")
        return LAPTOP

    backend = PlayedBackend([answers])
    cloud = Cloud(backends=[backend], per_hub=100, per_device=20)
    worker = Worker(built_of(cloud), threads=1, clock=cloud.clock)
    first, second = body("a", picture=BAD, ttl_s=DAY_S), body("b", ttl_s=DAY_S)
    assert worker.take([(first, META), (second, META)])
    worker.stop()
    assert verdict_of(cloud, first).status == "verified"
    assert verdict_of(cloud, second).status == "verified"
    assert cloud.clock.utc() < START + timedelta(hours=1, minutes=6)
    # Two answers, and the failures until it was plain that the service is away.
    assert cloud.budget.left("line-1") == 20 - 2 - (MAX_TRIES - 1)
    assert cloud.budget.left() == 100 - backend.calls


def test_an_outage_without_end_does_not_hold_one_escalation_for_ever() -> None:
    cloud = Cloud(backends=[PlayedBackend([BackendBusy("HTTP 503")])])
    worker = Worker(built_of(cloud), threads=1, clock=cloud.clock)
    assert worker.take([(body("a", ttl_s=DAY_S), META), (body("b", ttl_s=7 * DAY_S), META)])
    worker.stop()
    assert entry_of(cloud, body("b")).probes == MAX_PROBES
    assert verdict_of(cloud, body("b")).reason == "unanswered"


def test_what_is_seen_for_nothing_is_seen_as_often_as_ever() -> None:
    clock = PlayedClock()
    breaker = Breaker(clock)
    for _ in range(5):
        breaker.failed()
    for charged, rest_s in ((False, 30), (True, 60), (True, 120), (False, 120), (True, 240)):
        clock.advance(breaker.rest_s())
        assert breaker.admit()
        breaker.failed(charged=charged)
        assert breaker.rest_s() == pytest.approx(rest_s)
    breaker.succeeded()
    for _ in range(5):
        breaker.failed()
    assert breaker.rest_s() == pytest.approx(30)

"""From a message to a verdict: what is paid for, what is answered, what is put off."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.cloud import LAPTOP, META, START, Cloud, PlayedBackend, body, jpeg

from verifier.admit import Meta, admit
from verifier.asking import Asking
from verifier.core import Kind, Route
from verifier.errors import (
    BackendBusy,
    BackendMisconfigured,
    BackendRefused,
    ReplyDeferred,
    SettingsRefused,
    StoreUnavailable,
)
from verifier.ledger import MAX_CLAIMS, Case, Ledger, State
from verifier.opinion import Limits, Opinion, Picture, Want
from verifier.stores.memory import MemoryStore


def test_an_escalation_is_verified_and_delivered() -> None:
    cloud = Cloud()
    outcome = cloud.core.handle(body("a"), META)
    assert outcome.kind is Kind.VERIFIED
    assert cloud.states() == {"a": "verified"}
    cloud.courier.turn()
    assert cloud.states() == {"a": "delivered"}
    (verdict,) = cloud.reply.taken
    assert verdict.escalation_id == "a"
    assert verdict.status == "verified"
    assert [d.label for d in verdict.detections] == ["laptop"]
    assert verdict.agreement == "confirm"
    assert verdict.verifier.name == "played"


def test_a_message_that_comes_twice_is_paid_for_once() -> None:
    cloud = Cloud(cache_days=0)
    kinds = [cloud.core.handle(body("a"), META).kind for _ in range(3)]
    assert kinds == [Kind.VERIFIED, Kind.DUPLICATE, Kind.DUPLICATE]
    assert cloud.backends[0].calls == 1


def test_one_that_comes_again_after_its_delivery_is_dropped() -> None:
    cloud = Cloud()
    cloud.core.handle(body("a"), META)
    cloud.courier.turn()
    outcome = cloud.core.handle(body("a"), META)
    assert (outcome.kind, outcome.reason) == (Kind.DUPLICATE, "delivered")
    cloud.courier.turn()
    assert len(cloud.reply.calls) == 1


def test_two_devices_may_use_the_same_id() -> None:
    cloud = Cloud(cache_days=0)
    for device in ("line-1", "line/1", "line-2"):
        assert cloud.core.handle(body("a"), Meta(device, "visionedge")).kind is Kind.VERIFIED
    assert cloud.backends[0].calls == 3


def test_only_what_is_wanted_is_asked() -> None:
    cloud = Cloud(want=frozenset({Want.LABELS}))
    cloud.core.handle(body(), META)
    assert cloud.backends[0].wanted == [frozenset({Want.LABELS})]


def test_what_a_service_does_not_offer_cannot_be_wanted() -> None:
    with pytest.raises(SettingsRefused, match="does not offer text"):
        Cloud(want=frozenset({Want.TEXT}))


def test_a_late_message_is_not_paid_for() -> None:
    cloud = Cloud()
    cloud.clock.advance(3601)
    outcome = cloud.core.handle(body("a"), META)
    assert outcome.kind is Kind.EXPIRED
    assert cloud.states() == {"a": "expired"}
    assert cloud.backends[0].calls == 0


def test_the_same_picture_under_another_id_is_answered_from_the_cache() -> None:
    cloud = Cloud(per_hub=1)
    for id_ in ("a", "b"):
        assert cloud.core.handle(body(id_), META).kind is Kind.VERIFIED
    cloud.courier.turn()
    first, second = cloud.reply.taken
    assert cloud.backends[0].calls == 1
    assert first.detections == second.detections
    assert (first.reason, second.reason) == (None, None)


def test_another_picture_is_asked_about_anew() -> None:
    cloud = Cloud()
    cloud.core.handle(body("a"), META)
    cloud.core.handle(body("b", picture=jpeg(shade=129)), META)
    assert cloud.backends[0].calls == 2


def test_a_cached_answer_grows_old() -> None:
    cloud = Cloud(cache_days=1)
    cloud.core.handle(body("a"), META)
    cloud.clock.advance(86_401)
    cloud.core.handle(body("b", now=cloud.clock.utc()), META)
    assert cloud.backends[0].calls == 2


@pytest.mark.parametrize("change", ["recipe", "name"])
def test_another_model_is_asked_anew(change: str) -> None:
    cloud = Cloud()
    cloud.core.handle(body("a"), META)
    other = PlayedBackend()
    setattr(other, change, "other")
    cloud = Cloud(clock=cloud.clock, store=cloud.store, backends=[other])
    cloud.core.handle(body("b"), META)
    assert other.calls == 1


def test_over_budget_the_local_word_stands_and_the_module_is_told() -> None:
    cloud = Cloud(per_hub=1, cache_days=0)
    cloud.core.handle(body("a"), META)
    outcome = cloud.core.handle(body("b"), META)
    assert (outcome.kind, outcome.reason) == (Kind.VERIFIED, "budget")
    cloud.courier.turn()
    assert [(v.status, v.reason) for v in cloud.reply.taken] == [
        ("verified", None),
        ("unverified", "budget"),
    ]
    assert cloud.backends[0].calls == 1


def test_a_refused_picture_is_answered_and_not_asked_about_again() -> None:
    cloud = Cloud(backends=[PlayedBackend([BackendRefused("400")])])
    outcome = cloud.core.handle(body("a"), META)
    assert (outcome.kind, outcome.reason) == (Kind.VERIFIED, "refused")
    assert cloud.backends[0].calls == 1
    cloud.courier.turn()
    assert cloud.states() == {"a": "delivered"}


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(max_bytes=100), "picture_too_heavy"),
        (Limits(max_bytes=10**6, min_px=50), "picture_too_small"),
        (Limits(max_bytes=10**6, max_px=63), "picture_too_big"),
    ],
)
def test_a_picture_that_the_service_would_refuse_is_not_sent(limits: Limits, reason: str) -> None:
    backend = PlayedBackend(limits=limits)
    outcome = Cloud(backends=[backend]).core.handle(body(), META)
    assert (outcome.kind, outcome.reason) == (Kind.VERIFIED, reason)
    assert backend.calls == 0


def test_while_no_region_answers_the_message_is_put_off_and_comes_again() -> None:
    backend = PlayedBackend([BackendBusy("503")] * 3 + [LAPTOP])
    cloud = Cloud(backends=[backend])
    outcome = cloud.core.handle(body("a"), META)
    assert outcome.kind is Kind.DEFERRED
    assert not outcome.kind.is_done
    assert cloud.core.handle(body("a"), META).kind is Kind.VERIFIED
    assert cloud.states() == {"a": "verified"}


def test_a_service_that_refuses_our_key_stops_the_worker_and_loses_nothing() -> None:
    cloud = Cloud(backends=[PlayedBackend([BackendMisconfigured("401"), LAPTOP])], per_hub=1)
    with pytest.raises(BackendMisconfigured):
        cloud.core.handle(body("a"), META)
    assert cloud.core.handle(body("a"), META).reason == ""


def test_one_that_another_worker_holds_is_put_off_until_its_lease_ends() -> None:
    cloud = Cloud(cache_days=0)
    other = Ledger(cloud.store, cloud.clock, owner="other", lease_s=120)
    assert other.claim(admit(body("a"), META).case)[0]
    outcome = cloud.core.handle(body("a"), META)
    assert (outcome.kind, outcome.reason) == (Kind.DEFERRED, "claimed")
    assert outcome.retry_after_s <= 1
    cloud.clock.advance(121)
    assert cloud.core.handle(body("a"), META).kind is Kind.VERIFIED


def dies(_: Picture) -> Opinion:
    raise SystemExit


def breaks(_: Picture) -> Opinion:
    raise ZeroDivisionError


def test_an_escalation_that_kills_its_workers_is_set_aside() -> None:
    cloud = Cloud(backends=[PlayedBackend([dies])])
    for _ in range(MAX_CLAIMS):
        with pytest.raises(SystemExit):
            cloud.core.handle(body("a", ttl_s=86_400), META)
        cloud.clock.advance(121)
    outcome = cloud.core.handle(body("a", ttl_s=86_400), META)
    assert (outcome.kind, outcome.reason) == (Kind.POISON, "kills_workers")
    assert cloud.states() == {"a": "poison"}
    assert len(list(cloud.store.keys("dead/"))) == 1
    assert cloud.core.handle(body("a", ttl_s=86_400), META).kind is Kind.DUPLICATE
    assert list(cloud.store.keys("open/")) == []


def test_a_case_that_met_a_bug_is_at_its_end_and_not_asked_about_again() -> None:
    cloud = Cloud(backends=[PlayedBackend([breaks])])
    with pytest.raises(ZeroDivisionError):
        cloud.core.handle(body("a"), META)
    assert cloud.states() == {"a": "poison"}
    (key,) = cloud.store.keys("dead/")
    assert "/bug/" in key
    assert cloud.core.handle(body("a"), META).kind is Kind.DUPLICATE
    assert cloud.backends[0].calls == 1
    assert list(cloud.store.keys("open/")) == []


class Away(MemoryStore):
    """A store that is away for some writes, and may have done them all the same."""

    def __init__(self, *, does: bool) -> None:
        super().__init__()
        self.left = 0
        self._does = does

    def create(self, key: str, value: bytes) -> str:
        return self._write_or_not(lambda: super(Away, self).create(key, value))

    def replace(self, key: str, value: bytes, version: str) -> str:
        return self._write_or_not(lambda: super(Away, self).replace(key, value, version))

    def _write_or_not(self, write: Callable[[], str]) -> str:
        if self.left:
            self.left -= 1
            if self._does:
                write()
            raise StoreUnavailable("away")
        return write()


@pytest.mark.parametrize("does", [False, True])
def test_an_answer_that_finds_the_store_away_is_not_paid_for_again(does: bool) -> None:
    store = Away(does=does)

    def answers(_: Picture) -> Opinion:
        store.left = 3
        return LAPTOP

    cloud = Cloud(store=store, backends=[PlayedBackend([answers])])
    while cloud.states() != {"a": "delivered"}:
        with suppress(StoreUnavailable):
            cloud.core.handle(body("a"), META)
            cloud.courier.turn()
        cloud.clock.advance(5)
    assert cloud.backends[0].calls == 1


def test_the_ledger_says_when_a_case_came_to_each_state() -> None:
    cloud = Cloud(backends=[PlayedBackend([BackendBusy("503"), LAPTOP])])
    cloud.core.handle(body("a"), META)
    cloud.clock.advance(5)
    cloud.courier.turn()
    held = cloud.ledger.find(Case("line-1", "visionedge", "a", START))
    assert held
    reached = held.entry.reached_at
    assert list(reached) == ["claimed", "verified", "delivered"]
    assert reached[State.CLAIMED] == START
    assert reached[State.DELIVERED] >= reached[State.VERIFIED] + timedelta(seconds=5)


def test_a_module_that_sends_again_gets_its_verdict_at_once() -> None:
    cloud = Cloud()
    cloud.reply.faults = [ReplyDeferred("404")]
    cloud.core.handle(body("a"), META)
    assert cloud.courier.turn() > 2
    cloud.courier.turn()
    assert len(cloud.reply.calls) == 1
    cloud.core.handle(body("a"), META)
    cloud.courier.turn()
    assert cloud.states() == {"a": "delivered"}
    assert cloud.backends[0].calls == 1


def test_each_model_has_its_own_route() -> None:
    special, general = PlayedBackend(), PlayedBackend()
    cloud = Cloud(backends=[general])
    route = Route(Asking([special], cloud.clock), frozenset({Want.OBJECTS}))
    core = replace(cloud.core, routes={**cloud.core.routes, "pcb": route})
    core.handle(body("a", model={"name": "pcb"}), META)
    assert (special.calls, general.calls) == (1, 0)


def test_no_call_lasts_beyond_the_expiry() -> None:
    cloud = Cloud()
    cloud.core.handle(body("a", ttl_s=7), META)
    assert cloud.backends[0].timeouts_s == [7]
    assert cloud.clock.utc() == START

"""Verdicts reach the module that asked, whatever stands in the way, or expire."""

from contextlib import suppress

import pytest
from tests.support.cloud import META, Cloud, PlayedBackend, PlayedReply, body

from verifier.admit import Meta
from verifier.core import Kind
from verifier.courier import MAX_BATCH
from verifier.errors import BackendBusy, BackendMisconfigured, ReplyDeferred, ReplyForbidden
from verifier.opinion import Opinion, Picture


def verified(count: int, **how: float) -> Cloud:
    cloud = Cloud()
    for n in range(count):
        cloud.core.handle(body(f"e{n}", ttl_s=how.get("ttl_s", 3600)), META)
    return cloud


def test_verdicts_to_one_module_go_in_one_call() -> None:
    cloud = verified(5)
    cloud.courier.turn()
    assert cloud.reply.calls == [[f"e{n}" for n in range(5)]]


def test_a_call_is_never_larger_than_a_method_takes() -> None:
    cloud = verified(MAX_BATCH + 3)
    cloud.courier.turn()
    assert [len(call) for call in cloud.reply.calls] == [MAX_BATCH, 3]
    assert set(cloud.states().values()) == {"delivered"}


def test_a_module_that_is_away_is_tried_again_with_growing_pauses() -> None:
    cloud = verified(1, ttl_s=86_400)
    cloud.reply.faults = [ReplyDeferred("404")] * 12
    pauses = []
    while cloud.states() != {"e0": "delivered"}:
        pauses.append(cloud.courier.turn())
        cloud.clock.advance(pauses[-1] + 0.001)
    assert len(cloud.reply.calls) == 13
    assert 2.5 <= pauses[0] <= 5
    assert pauses[3] > pauses[0]
    assert max(pauses) <= 600


def test_what_the_hub_asks_to_wait_is_waited() -> None:
    cloud = verified(1)
    cloud.reply.faults = [ReplyDeferred("429", retry_after_s=120)]
    assert cloud.courier.turn() == pytest.approx(120)


def test_a_module_that_stays_away_loses_its_verdicts_at_their_expiry() -> None:
    cloud = verified(2, ttl_s=60)
    cloud.reply.faults = [ReplyDeferred("404")] * 100
    for _ in range(6):
        cloud.clock.advance(cloud.courier.turn() + 0.001)
    cloud.clock.advance(60)
    cloud.courier.turn()
    assert set(cloud.states().values()) == {"expired"}
    assert cloud.courier.waiting == 0
    assert list(cloud.store.keys("open/")) == []


def test_a_module_that_is_away_holds_up_no_other() -> None:
    cloud = Cloud()
    cloud.reply.faults = [ReplyDeferred("404")]
    cloud.core.handle(body("a"), Meta("away", "visionedge"))
    cloud.core.handle(body("b"), Meta("here", "visionedge"))
    cloud.courier.turn()
    assert cloud.states() == {"a": "verified", "b": "delivered"}


def test_one_verdict_that_the_module_refuses_does_not_keep_the_others() -> None:
    cloud = verified(4)
    cloud.reply.refuses = frozenset({"e2"})
    cloud.courier.turn()
    assert cloud.states() == {
        "e0": "delivered",
        "e1": "delivered",
        "e2": "poison",
        "e3": "delivered",
    }


def test_a_hub_that_refuses_us_stops_the_courier_and_keeps_everything() -> None:
    cloud = verified(2)
    cloud.reply.faults = [ReplyForbidden("401")]
    with pytest.raises(ReplyForbidden):
        cloud.courier.turn()
    assert cloud.courier.waiting == 2
    cloud.courier.turn()
    assert set(cloud.states().values()) == {"delivered"}


def test_what_a_dead_worker_left_is_delivered_by_another() -> None:
    dead = verified(3)
    heir = Cloud(clock=dead.clock, store=dead.store, reply=PlayedReply())
    assert heir.courier.adopt() == 0
    dead.clock.advance(121)
    assert heir.courier.adopt() == 3
    heir.courier.turn()
    assert set(heir.states().values()) == {"delivered"}
    assert heir.backends[0].calls == 0


def test_a_worker_that_lives_keeps_its_verdicts_through_long_pauses() -> None:
    living = verified(3, ttl_s=86_400)
    living.reply.faults = [ReplyDeferred("404")] * 10
    other = Cloud(clock=living.clock, store=living.store)
    for _ in range(10):
        living.clock.advance(living.courier.turn() + 1)
        assert other.courier.adopt() == 0


def test_what_two_couriers_hold_is_settled_once() -> None:
    slow = verified(1)
    slow.clock.advance(121)
    heir = Cloud(clock=slow.clock, store=slow.store)
    heir.courier.adopt()
    heir.courier.turn()
    slow.courier.turn()
    assert heir.states() == {"e0": "delivered"}
    assert slow.courier.waiting == 0


def test_with_nothing_to_do_the_courier_waits_long() -> None:
    assert Cloud().courier.turn() == 30


@pytest.mark.parametrize("why", [BackendBusy("503"), BackendMisconfigured("401")])
def test_a_claim_that_came_to_nothing_ends_when_its_escalation_expires(why: Exception) -> None:
    cloud = Cloud(backends=[PlayedBackend([why])])
    with suppress(BackendMisconfigured):
        cloud.core.handle(body("a", ttl_s=600), META)
    cloud.clock.advance(300)
    assert cloud.courier.adopt() == 0
    assert cloud.states() == {"a": "claimed"}
    cloud.clock.advance(300)
    assert cloud.courier.adopt() == 0
    assert cloud.states() == {"a": "expired"}
    assert list(cloud.store.keys("open/")) == []
    assert cloud.core.handle(body("a", ttl_s=600), META).kind is Kind.DUPLICATE


def test_a_claim_that_is_held_is_nobody_elses_to_end() -> None:
    first = Cloud(backends=[PlayedBackend([_dies])], owner="first")
    with pytest.raises(SystemExit):
        first.core.handle(body("a", ttl_s=60), META)
    second = Cloud(clock=first.clock, store=first.store, owner="second")
    first.clock.advance(61)
    second.courier.adopt()
    assert second.states() == {"a": "claimed"}
    first.clock.advance(60)
    second.courier.adopt()
    assert second.states() == {"a": "expired"}


def test_a_copy_that_comes_late_opens_nothing_again() -> None:
    cloud = verified(1)
    cloud.courier.turn()
    assert cloud.core.handle(body("e0"), META).kind is Kind.DUPLICATE
    assert list(cloud.store.keys("open/")) == []


def _dies(_: Picture) -> Opinion:
    raise SystemExit


def test_an_entry_of_a_later_release_does_not_keep_the_verdicts_behind_it() -> None:
    dead = verified(2)
    dead.store.create("open/a/a/a", b"")
    dead.store.create("ledger/a/a/a", b'{"state": "asked_again"}')
    heir = Cloud(clock=dead.clock, store=dead.store, reply=PlayedReply())
    dead.clock.advance(121)
    assert heir.courier.adopt() == 2

"""A module that was away asks for what it missed, and gets what there is; its own, and once."""

import json
from datetime import timedelta

import pytest
from tests.support.cloud import META, START, Cloud, PlayedBackend, PlayedReply, body

from verifier.admit import Meta, admit
from verifier.core import Kind
from verifier.errors import BackendBusy, ReplyDeferred
from verifier.ledger import State


def query(*ids: str, **changes: object) -> bytes:
    message = {
        "schema": "verdict-query/1",
        "id": "q-1",
        "created_at": START.isoformat(),
        "escalation_ids": list(ids),
    }
    return json.dumps(message | changes).encode()


def test_a_query_ends_the_pause_of_a_module_that_was_away() -> None:
    cloud = Cloud(reply=PlayedReply(faults=[ReplyDeferred("404")]))
    cloud.core.handle(body("a"), META)
    cloud.courier.turn()
    assert cloud.courier.turn() > 1
    assert len(cloud.reply.calls) == 1, "it is left alone for a while"
    assert cloud.core.handle(query("a"), META).kind is Kind.QUERY
    cloud.courier.turn()
    assert [verdict.escalation_id for verdict in cloud.reply.taken] == ["a"]
    assert cloud.states() == {"a": "delivered"}


def test_a_verdict_that_was_delivered_is_delivered_again_to_who_does_not_have_it() -> None:
    cloud = Cloud()
    cloud.core.handle(body("a"), META)
    cloud.courier.turn()
    for _ in range(2):
        cloud.core.handle(query("a"), META)
        cloud.courier.turn()
    assert [verdict.verdict_id for verdict in cloud.reply.taken] == [
        cloud.reply.taken[0].verdict_id
    ] * 3
    assert cloud.states() == {"a": "delivered"}
    assert cloud.backends[0].calls == 1


@pytest.mark.parametrize("meta", [Meta("line-2", "visionedge"), Meta("line-1", "other")])
def test_nobody_gets_the_verdicts_of_another(meta: Meta) -> None:
    cloud = Cloud()
    cloud.core.handle(body("a"), META)
    cloud.courier.turn()
    cloud.core.handle(query("a"), meta)
    cloud.courier.turn()
    assert len(cloud.reply.calls) == 1


def test_a_verdict_that_another_worker_was_to_deliver_is_taken_over() -> None:
    first = Cloud(owner="one", reply=PlayedReply(faults=[ReplyDeferred("404")] * 9))
    second = Cloud(owner="two", clock=first.clock, store=first.store)
    first.core.handle(body("a"), META)
    first.courier.turn()
    second.core.handle(query("a"), META)
    second.courier.turn()
    assert [verdict.escalation_id for verdict in second.reply.taken] == ["a"]
    first.clock.advance(3000)
    first.courier.turn()
    assert first.states() == {"a": "delivered"}


def test_a_copy_that_expires_or_is_refused_leaves_a_delivered_escalation_delivered() -> None:
    cloud = Cloud()
    case = admit(body("a", ttl_s=300), META).case
    cloud.core.handle(body("a", ttl_s=300), META)
    cloud.courier.turn()
    before = cloud.ledger.find(case)
    assert before
    cloud.reply.refuses = frozenset(["a"])
    cloud.core.handle(query("a"), META)
    cloud.courier.turn()
    cloud.reply.faults = [ReplyDeferred("404")]
    cloud.core.handle(query("a"), META)
    cloud.courier.turn()
    assert cloud.courier.waiting == 1
    cloud.clock.advance(1000)
    cloud.courier.turn()
    assert cloud.courier.waiting == 0
    assert cloud.ledger.find(case) == before
    assert cloud.ledger.settle(before, State.POISON) is before


def test_there_is_nothing_to_say_of_what_is_unknown_in_work_or_too_late() -> None:
    cloud = Cloud(backends=[PlayedBackend([BackendBusy("503")])])
    cloud.core.handle(body("busy"), META)
    cloud.core.handle(query("busy", "never"), META)
    assert cloud.courier.waiting == 0
    done = Cloud(clock=cloud.clock)
    done.core.handle(body("late", ttl_s=60, now=cloud.clock.utc()), META)
    done.courier.turn()
    done.clock.advance(timedelta(hours=1).total_seconds())
    done.core.handle(query("late"), META)
    assert done.courier.waiting == 0


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (query(), "bad_field"),
        (query("../a"), "bad_field"),
        (query("a", schema="verdict-query/2"), "unknown_schema"),
        (query(*map(str, range(257))), "bad_field"),
    ],
)
def test_a_query_that_cannot_be_read_is_set_aside(message: bytes, reason: str) -> None:
    cloud = Cloud()
    outcome = cloud.core.handle(message, META)
    assert (outcome.kind, outcome.reason) == (Kind.POISON, reason)


def test_an_escalation_that_speaks_of_queries_is_none() -> None:
    cloud = Cloud()
    message = body("a", camera='"verdict-query/1"')
    assert cloud.core.handle(message, META).kind is Kind.VERIFIED

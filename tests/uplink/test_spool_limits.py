"""Bounds of the spool that are lowered while it is in use, as by the twin."""

from typing import Final

import pytest
from tests.support.envelopes import OpenSpool, envelope
from tests.uplink.test_spool import drain, put_all

from visionedge.entities import Kind
from visionedge.errors import SpoolUnavailable
from visionedge.metrics import Metrics
from visionedge.runtime.clock import FakeClock
from visionedge.uplink.spool import _AT_ONCE
from visionedge.uplink.spool_rows import SHARES

THREE: Final = int(3000 / SHARES[Kind.ESCALATION]) + 1
"""Bytes of a spool that holds three escalations of a thousand."""


def test_a_smaller_limit_is_kept_at_once_by_what_is_worth_least(
    open_spool: OpenSpool, metrics: Metrics
) -> None:
    spool = open_spool()
    put_all(spool, *(envelope(id=f"e{i}", value=i / 999, body=b"x" * 1000) for i in range(999)))
    put_all(spool, envelope(Kind.TELEMETRY, id="t"))
    spool.limit(max_bytes=THREE, max_age_s=3600)
    lost = {"kind": "escalation", "cause": "evicted"}
    assert metrics.value("visionedge_spool_lost_total", lost) == 996
    assert set(drain(spool)) == {"e996", "e997", "e998", "t"}


def test_a_smaller_limit_that_the_disk_refuses_is_kept_later(
    open_spool: OpenSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = open_spool()
    put_all(spool, *(envelope(body=b"x" * 1000) for _ in range(10)))

    def fail(*_: object) -> None:
        raise SpoolUnavailable("disk full")

    with monkeypatch.context() as full:
        full.setattr(spool._file, "write", fail)
        spool.limit(max_bytes=THREE, max_age_s=3600)
    assert len(spool.expire()) == 7


def test_what_was_sent_may_be_over_a_smaller_limit_and_what_is_worth_more_still_comes_in(
    open_spool: OpenSpool,
) -> None:
    spool = open_spool()
    put_all(spool, *(envelope(id=f"s{i}", body=b"x" * 1000) for i in range(3)))
    drain(spool)
    put_all(spool, envelope(id="low", value=0.2, body=b"x" * 1000))
    spool._max_bytes = 2000
    assert [loss.id for loss in spool.put(envelope(id="high", value=0.9, body=b"x" * 900))] == [
        "low"
    ]
    assert [loss.id for loss in spool.put(envelope(id="mid", value=0.5, body=b"x"))] == ["mid"]
    spool.limit(max_bytes=1000, max_age_s=3600)
    backlog = spool.backlog()[Kind.ESCALATION]
    assert (backlog.ready.messages, backlog.sent.messages) == (0, 3)


def test_a_lower_age_holds_for_what_lies_there_and_a_higher_one_for_what_comes(
    open_spool: OpenSpool, clock: FakeClock
) -> None:
    spool = open_spool(max_age_s=1000)
    put_all(spool, envelope(id="old", ttl_s=1e6))
    drain(spool)
    clock.advance(500)
    put_all(spool, envelope(id="young", ttl_s=1e6))
    spool.limit(max_bytes=10_000_000, max_age_s=400)
    assert spool.was_settled("old")
    assert spool.find("young")
    spool.limit(max_bytes=10_000_000, max_age_s=5000)
    clock.advance(1000)
    assert [loss.id for loss in spool.expire()] == ["young"]


def test_many_small_messages_of_little_worth_make_place_for_a_large_one_worth_more(
    open_spool: OpenSpool,
) -> None:
    small = 10 * _AT_ONCE
    body = b"x" * 100
    size_bytes = envelope(body=body).size_bytes
    spool = open_spool(max_bytes=int(small * size_bytes / SHARES[Kind.ESCALATION]) + 1)
    put_all(spool, *(envelope(value=0.1, body=body) for _ in range(small)))
    large = envelope(id="large", value=0.9, body=b"x" * (3 * _AT_ONCE * size_bytes))
    lost = spool.put(large)
    assert "large" not in {loss.id for loss in lost}
    assert 3 * _AT_ONCE <= len(lost) <= 3 * _AT_ONCE + 10
    assert drain(spool)[0] == "large"
    assert not spool.expire()


def test_who_comes_in_after_the_limit_was_lowered_does_not_wait_until_it_is_kept(
    open_spool: OpenSpool,
) -> None:
    spool = open_spool()
    small = [envelope(value=0.1) for _ in range(3 * _AT_ONCE)]
    put_all(spool, *small)
    spool._max_bytes = THREE
    assert len(spool.put(envelope(id="new", value=0.9))) == _AT_ONCE
    assert len(spool.expire()) >= _AT_ONCE
    assert drain(spool)[0] == "new"

import contextlib
import sqlite3
import threading
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.support.envelopes import OpenSpool, envelope, resolution

from visionedge.entities import Envelope, Kind, Outcome
from visionedge.metrics import Metrics
from visionedge.runtime.clock import FakeClock
from visionedge.uplink.spool import Spool
from visionedge.uplink.spool_rows import SHARES, Cause, Settled, Tally
from visionedge.wire import MAX_MESSAGE_BYTES

WINDOW = 100


def drain(spool: Spool, window: int = WINDOW) -> list[str]:
    """Send everything that may be sent, as a sender whose hub takes it all."""
    order = []
    while (message := spool.next_to_send(window)) is not None:
        order.append(message.id)
        spool.mark_sent(message.id)
    return order


def put_all(spool: Spool, *envelopes: Envelope) -> None:
    for each in envelopes:
        assert spool.put(each) == ()


def test_what_was_put_comes_out_unchanged_after_a_restart(open_spool: OpenSpool) -> None:
    message = envelope(
        value=0.25,
        body=bytes(range(256)),
        created_at=datetime(2026, 3, 4, 5, 6, 7, 891_011, tzinfo=UTC),
        properties={"camera": "line-1", "reason": "below_threshold"},
    )
    open_spool().put(message)
    assert open_spool().next_to_send(WINDOW) == message


def test_health_goes_first_then_the_most_valuable_and_oldest_escalation_then_telemetry(
    spool: Spool,
) -> None:
    put_all(
        spool,
        envelope(Kind.TELEMETRY, id="t"),
        envelope(id="low", value=0.1),
        envelope(id="high-old", value=0.9),
        envelope(id="high-new", value=0.9),
        envelope(Kind.HEALTH, id="h1"),
        envelope(Kind.HEALTH, id="h2"),
    )
    assert drain(spool) == ["h1", "h2", "high-old", "high-new", "low", "t"]


def test_a_full_window_holds_back_escalations_and_nothing_else(spool: Spool) -> None:
    put_all(spool, *(envelope(id=f"e{i}") for i in range(5)))
    assert drain(spool, window=3) == ["e0", "e1", "e2"]
    put_all(spool, envelope(Kind.TELEMETRY, id="t"), envelope(Kind.HEALTH, id="h"))
    assert drain(spool, window=3) == ["h", "t"]
    assert spool.unanswered() == 3


def test_a_verdict_opens_the_window_for_the_next_escalation(spool: Spool) -> None:
    put_all(spool, envelope(id="a"), envelope(id="b"))
    assert drain(spool, window=1) == ["a"]
    spool.settle(resolution("a"))
    assert drain(spool, window=1) == ["b"]


def test_telemetry_is_done_when_the_hub_has_it_and_an_escalation_is_not(spool: Spool) -> None:
    put_all(spool, envelope(Kind.TELEMETRY), envelope(id="e"))
    drain(spool)
    backlog = spool.backlog()
    assert backlog[Kind.TELEMETRY].messages == 0
    assert backlog[Kind.ESCALATION].sent.messages == 1
    assert spool.find("e") is not None


def test_the_same_id_put_twice_is_taken_once(spool: Spool) -> None:
    put_all(spool, envelope(id="e"), envelope(id="e", value=1))
    assert spool.backlog()[Kind.ESCALATION].messages == 1
    assert spool.ledger()[Kind.ESCALATION, "put"].messages == 1


def test_a_message_no_hub_would_take_is_refused_and_counted(spool: Spool, metrics: Metrics) -> None:
    (loss,) = spool.put(envelope(body=b"x" * MAX_MESSAGE_BYTES, properties={"k": "v"}))
    assert loss.cause is Cause.TOO_LARGE
    assert spool.next_to_send(WINDOW) is None
    lost = {"kind": "escalation", "cause": "too_large"}
    assert metrics.value("visionedge_spool_lost_total", lost) == 1


# Bounds


def test_a_full_share_gives_up_the_least_valuable_first_then_the_oldest(
    open_spool: OpenSpool,
) -> None:
    spool = open_spool(max_bytes=int(3000 / SHARES[Kind.ESCALATION]) + 1)
    for id_, value in (("old-low", 0.1), ("new-low", 0.1), ("high", 0.9)):
        put_all(spool, envelope(id=id_, value=value, body=b"x" * 1000))
    (first,) = spool.put(envelope(id="mid", value=0.5, body=b"x" * 1000))
    (second,) = spool.put(envelope(id="mid-2", value=0.5, body=b"x" * 1000))
    assert [first.id, second.id] == ["old-low", "new-low"]
    assert first.cause is Cause.EVICTED
    assert drain(spool) == ["high", "mid", "mid-2"]


def test_an_envelope_worth_less_than_all_others_is_the_one_given_up(open_spool: OpenSpool) -> None:
    spool = open_spool(max_bytes=int(2000 / SHARES[Kind.ESCALATION]) + 1)
    put_all(spool, envelope(id="small-low", value=0.2, body=b"x" * 500))
    put_all(spool, envelope(id="high", value=0.9, body=b"x" * 1500))
    (loss,) = spool.put(envelope(id="new", value=0.5, body=b"x" * 1900))
    assert loss.id == "new"
    assert drain(spool) == ["high", "small-low"], "nothing else was given up in vain"


def test_what_awaits_its_verdict_is_not_evicted(open_spool: OpenSpool) -> None:
    spool = open_spool(max_bytes=int(1000 / SHARES[Kind.ESCALATION]) + 1)
    put_all(spool, envelope(id="sent", value=0.1, body=b"x" * 1000))
    drain(spool)
    (loss,) = spool.put(envelope(id="new", value=0.9, body=b"x" * 1000))
    assert loss.id == "new"
    assert spool.settle(resolution("sent")) is Settled.FIRST


@pytest.mark.parametrize("flood", [Kind.ESCALATION, Kind.TELEMETRY, Kind.HEALTH])
def test_a_flood_of_one_kind_pushes_out_no_other_kind(open_spool: OpenSpool, flood: Kind) -> None:
    spool = open_spool(max_bytes=1_048_576)
    others = [kind for kind in SHARES if kind is not flood]
    put_all(spool, *(envelope(kind, id=kind, value=0.01) for kind in others))
    losses = [loss for _ in range(300) for loss in spool.put(envelope(flood, body=b"x" * 9000))]
    assert {loss.kind for loss in losses} == {flood}
    assert set(drain(spool)) >= set(others)


def test_the_file_stays_near_its_bound_however_much_passes_through(
    open_spool: OpenSpool, tmp_path: Path
) -> None:
    limit = 2_000_000
    spool = open_spool(max_bytes=limit)
    for i in range(120):
        spool.put(envelope(value=i / 120, body=b"x" * 100_000))
    spool.close()
    assert (tmp_path / "spool" / "spool.db").stat().st_size < 1.2 * limit


# Answers


def test_an_unanswered_escalation_is_sent_again_under_its_old_id(
    spool: Spool, clock: FakeClock
) -> None:
    put_all(spool, envelope(id="e"))
    assert drain(spool) == ["e"]
    clock.advance(119)
    assert spool.overdue(120) == 0
    clock.advance(1)
    assert spool.overdue(120) == 1
    assert drain(spool) == ["e"]
    assert (found := spool.find("e"))
    assert found.attempts == 2


def test_each_resend_waits_twice_as_long_up_to_a_limit(spool: Spool, clock: FakeClock) -> None:
    put_all(spool, envelope(id="e", ttl_s=1e6))
    pauses = []
    for _ in range(8):
        assert drain(spool) == ["e"]
        waited_s = 0
        while not spool.overdue(100):
            clock.advance(100)
            waited_s += 100
        pauses.append(waited_s)
    assert pauses == [100, 200, 400, 800, 1600, 3200, 3200, 3200]


def test_answers_after_a_silence_bring_back_what_was_sent_into_it(
    spool: Spool, clock: FakeClock
) -> None:
    put_all(spool, envelope(id="e"))
    for _ in range(3):
        drain(spool)
        clock.advance(400)
        spool.overdue(100)
    drain(spool)
    clock.advance(150)
    assert spool.overdue(100) == 0
    assert spool.overdue(100, patient=False) == 1


def test_a_resolution_is_first_once_and_a_duplicate_ever_after(open_spool: OpenSpool) -> None:
    spool = open_spool()
    put_all(spool, envelope(id="e"))
    assert spool.settle(resolution("e")) is Settled.FIRST
    assert spool.settle(resolution("e", Outcome.CORRECTED)) is Settled.DUPLICATE
    assert open_spool().settle(resolution("e")) is Settled.DUPLICATE
    assert spool.settle(resolution("never-ours")) is Settled.UNKNOWN
    assert spool.was_settled("e")
    assert not spool.was_settled("never-ours")


def test_a_verdict_before_the_hubs_acknowledgement_settles_as_well(spool: Spool) -> None:
    put_all(spool, envelope(id="e"))
    assert spool.settle(resolution("e")) is Settled.FIRST
    spool.mark_sent("e")
    assert spool.unanswered() == 0
    assert spool.next_to_send(WINDOW) is None


def test_the_note_comes_back_with_the_verdict_even_after_a_restart(
    open_spool: OpenSpool, clock: FakeClock
) -> None:
    open_spool().put(envelope(id="e"), note={"label": "spur", "xyxy": [1, 2, 3, 4]})
    clock.advance(86_400)
    found = open_spool().find("e")
    assert found
    assert found.note == {"label": "spur", "xyxy": [1, 2, 3, 4]}
    assert found.age_s == pytest.approx(86_400)
    assert found.attempts == 0


def test_find_knows_nothing_of_telemetry_or_of_what_is_settled(spool: Spool) -> None:
    put_all(spool, envelope(Kind.TELEMETRY, id="t"), envelope(id="e"))
    spool.settle(resolution("e"))
    assert spool.find("t") is None
    assert spool.find("e") is None
    assert spool.settle(resolution("t")) is Settled.UNKNOWN


def test_a_late_verdict_for_an_expired_escalation_is_a_duplicate(
    spool: Spool, clock: FakeClock
) -> None:
    put_all(spool, envelope(id="e", ttl_s=60))
    clock.advance(60)
    (loss,) = spool.expire()
    assert (loss.id, loss.cause) == ("e", Cause.EXPIRED)
    assert spool.settle(resolution("e")) is Settled.DUPLICATE


def test_settlements_are_forgotten_when_they_are_older_than_any_message(
    open_spool: OpenSpool, clock: FakeClock
) -> None:
    spool = open_spool(max_age_s=1000)
    put_all(spool, envelope(id="e"))
    spool.settle(resolution("e"))
    clock.advance(1001)
    spool.expire()
    assert spool.settle(resolution("e")) is Settled.UNKNOWN


def test_no_message_outlives_the_spools_own_limit(open_spool: OpenSpool, clock: FakeClock) -> None:
    spool = open_spool(max_age_s=100)
    put_all(spool, envelope(ttl_s=1e6))
    clock.advance(100)
    assert len(spool.expire()) == 1


def test_what_is_to_be_skipped_lets_others_go_first(spool: Spool) -> None:
    put_all(spool, envelope(id="first", value=0.9), envelope(id="second", value=0.1))
    assert (message := spool.next_to_send(WINDOW, skip={"first"}))
    assert message.id == "second"
    assert spool.next_to_send(WINDOW, skip={"first", "second"}) is None


def test_a_rejected_message_is_gone_and_counted(spool: Spool, metrics: Metrics) -> None:
    put_all(spool, envelope(id="poison"), envelope(id="next", value=0.1))
    (loss,) = spool.reject("poison")
    assert loss.cause is Cause.REJECTED
    assert drain(spool) == ["next"]
    assert spool.reject("poison") == ()
    assert metrics.value("visionedge_spool_lost_total", {"cause": "rejected"}) == 1


# What it tells


def test_gauges_follow_every_change(spool: Spool, metrics: Metrics) -> None:
    def gauge(name: str) -> float:
        return metrics.value(f"visionedge_{name}", {"kind": "escalation"})

    message = envelope(id="e", body=b"x" * 100, properties={"ab": "cd"})
    put_all(spool, message)
    assert (gauge("spool_messages"), gauge("spool_bytes")) == (1, 104)
    drain(spool)
    assert metrics.value("visionedge_unanswered_escalations") == 1
    spool.settle(resolution("e"))
    assert (gauge("spool_messages"), gauge("spool_bytes")) == (0, 0)
    assert metrics.value("visionedge_unanswered_escalations") == 0


def test_the_ledger_tells_what_became_of_every_message(spool: Spool, clock: FakeClock) -> None:
    put_all(spool, envelope(id="answered"), envelope(id="rejected"), envelope(Kind.TELEMETRY))
    put_all(spool, envelope(id="expired", ttl_s=10), envelope(id="waiting"))
    drain(spool)
    spool.settle(resolution("answered"))
    spool.reject("rejected")
    clock.advance(10)
    spool.expire()
    size = envelope().size_bytes
    assert spool.ledger() == {
        (Kind.ESCALATION, "put"): Tally(4, 4 * size),
        (Kind.ESCALATION, "settled"): Tally(1, size),
        (Kind.ESCALATION, "rejected"): Tally(1, size),
        (Kind.ESCALATION, "expired"): Tally(1, size),
        (Kind.TELEMETRY, "put"): Tally(1, size),
        (Kind.TELEMETRY, "delivered"): Tally(1, size),
    }


def test_verdicts_are_counted_once_with_their_age(
    spool: Spool, clock: FakeClock, metrics: Metrics
) -> None:
    put_all(spool, envelope(id="e"))
    clock.advance(42)
    for _ in range(2):
        spool.settle(resolution("e", Outcome.CORRECTED))
    assert metrics.counts("visionedge_resolutions_total", "outcome") == {"corrected": 1}
    assert metrics.value("visionedge_verdict_age_seconds_sum") == pytest.approx(42)


def test_a_put_and_a_verdict_wake_the_sender(spool: Spool) -> None:
    wake = threading.Event()
    spool.wake_on_change(wake)
    put_all(spool, envelope(id="e"))
    assert wake.is_set()
    wake.clear()
    spool.settle(resolution("e"))
    assert wake.is_set()


def test_four_threads_at_once_lose_and_double_nothing(spool: Spool) -> None:
    barrier = threading.Barrier(4)
    settled: Counter[Settled] = Counter()
    lock = threading.Lock()

    def work(number: int) -> None:
        barrier.wait(10)
        for i in range(25):
            spool.put(envelope(id=f"{number}-{i}"))
            for other in range(4):
                result = spool.settle(resolution(f"{other}-{i}"))
                with lock:
                    settled[result] += 1

    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    left = spool.backlog()[Kind.ESCALATION].messages
    assert settled.total() == 400
    assert settled[Settled.FIRST] + left == 100
    assert spool.ledger()[Kind.ESCALATION, "settled"].messages == settled[Settled.FIRST]


def test_expiry_keeps_to_the_time_to_live_of_each_message(spool: Spool, clock: FakeClock) -> None:
    now = clock.utc()
    put_all(
        spool,
        *(envelope(id=f"{ttl_s}", ttl_s=ttl_s, created_at=now) for ttl_s in (10, 20, 30)),
    )
    clock.advance(timedelta(seconds=20).total_seconds())
    assert sorted(loss.id for loss in spool.expire()) == ["10", "20"]


def test_agreement_by_class_is_counted_once_and_kept_over_a_restart(open_spool: OpenSpool) -> None:
    spool = open_spool()
    agreement = (("open", Outcome.CONFIRMED), ("open", Outcome.CONFIRMED), ("spur", Outcome.MISSED))
    for id_ in ("a", "b"):
        spool.put(envelope(id=id_))
        for _ in range(3):
            spool.settle(replace(resolution(id_), agreement=agreement))
    expected = {"open": {Outcome.CONFIRMED: 4}, "spur": {Outcome.MISSED: 2}}
    assert spool.agreement() == expected
    assert open_spool().agreement() == expected


def test_a_verifier_that_invents_labels_does_not_fill_the_disk(spool: Spool) -> None:
    spool.put(envelope(id="a"))
    invented = tuple((f"thing {i}", Outcome.MISSED) for i in range(400))
    spool.settle(replace(resolution("a"), agreement=invented))
    agreement = spool.agreement()
    assert len(agreement) == 129
    assert agreement["(other)"] == {Outcome.MISSED: 272}


def test_a_file_of_an_older_release_is_used_as_it_is(tmp_path: Path, open_spool: OpenSpool) -> None:
    spool = open_spool()
    spool.put(envelope(id="a"))
    spool.close()
    (file,) = tmp_path.rglob("spool.db")
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.execute("DROP TABLE agreement")
    assert open_spool().agreement() == {}
    assert open_spool().find("a") is not None

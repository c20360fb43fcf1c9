"""Any interleaving of verdict, duplicate, other verdict, expiry and restart ends the same way."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.envelopes import envelope, resolution

from visionedge.entities import Outcome, Resolution
from visionedge.metrics import Metrics
from visionedge.runtime.clock import FakeClock
from visionedge.uplink.spool import Spool
from visionedge.uplink.spool_rows import Settled

TTL_S = 3600.0
STEPS = st.lists(
    st.sampled_from(["send", "verdict", "other", "overdue", "expiry", "restart", "set clock"]),
    max_size=14,
)


def verdict(outcome: Outcome) -> Resolution:
    return replace(resolution("e", outcome), agreement=(("open", outcome),))


def first_end(steps: list[str]) -> Outcome:
    """What the first verdict or expiry says; at last it expires."""
    ends = {
        "verdict": Outcome.CONFIRMED,
        "other": Outcome.MISSED,
        "expiry": Outcome.EXPIRED,
    }
    return next((ends[step] for step in steps if step in ends), Outcome.EXPIRED)


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_the_first_end_is_the_end(steps: list[str]) -> None:
    with TemporaryDirectory() as folder:
        clock, metrics = FakeClock(datetime(2026, 1, 1, tzinfo=UTC)), Metrics()
        heard: list[Resolution] = []

        def open_() -> Spool:
            spool = Spool(
                Path(folder) / "spool.db",
                max_bytes=10_000_000,
                max_age_s=30 * 86_400,
                metrics=metrics,
                clock=clock,
            )
            spool.tell_settled(heard.append)
            # Opens the file: time that passes before that is told by the wall clock alone.
            spool.backlog()
            return spool

        spool = open_()
        spool.put(envelope(id="e", ttl_s=TTL_S))
        firsts: list[Outcome] = []
        for step in [*steps, "expiry"]:
            match step:
                case "send":
                    if spool.next_to_send(8):
                        spool.mark_sent("e")
                case "verdict" | "other":
                    outcome = Outcome.CONFIRMED if step == "verdict" else Outcome.MISSED
                    if spool.settle(verdict(outcome)) is Settled.FIRST:
                        firsts.append(outcome)
                case "overdue":
                    spool.overdue(1, patient=False)
                case "expiry":
                    clock.advance(TTL_S + 1)
                    firsts.extend(Outcome.EXPIRED for _ in spool.expire())
                case "restart":
                    spool.close()
                    spool = open_()
                case "set clock":
                    clock.jump(-86_400 * 365)
        end = first_end(steps)
        assert firsts == [end]
        assert [each.outcome for each in heard] == [end]
        assert metrics.counts("visionedge_resolutions_total", "outcome") == {end: 1}
        assert spool.agreement() == ({} if end is Outcome.EXPIRED else {"open": {end: 1}})
        assert spool.was_settled("e")
        assert spool.settle(verdict(Outcome.CONFIRMED)) is Settled.DUPLICATE
        spool.close()

"""Any interleaving of what can happen to messages: the ledger adds up, verdicts merge once."""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.support.envelopes import envelope, resolution

from visionedge.entities import Kind, Outcome
from visionedge.metrics import Metrics
from visionedge.runtime.clock import FakeClock
from visionedge.uplink.spool import Spool
from visionedge.uplink.spool_rows import SHARES, Cause, Settled

MAX_BYTES = 20_000
IDS = st.sampled_from([f"id-{i}" for i in range(12)])


class SpoolMachine(RuleBasedStateMachine):
    """Drives a small spool by chance, beside a model that knows only what was returned."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = FakeClock()
        self.metrics = Metrics()
        self.spool = self.open()
        self.taken: set[str] = set()
        self.gone: set[str] = set()
        self.first: list[str] = []

    def open(self) -> Spool:
        return Spool(
            Path(self.folder.name) / "spool.db",
            max_bytes=MAX_BYTES,
            max_age_s=900,
            metrics=self.metrics,
            clock=self.clock,
        )

    def teardown(self) -> None:
        self.spool.close()
        self.folder.cleanup()

    @rule(
        id=IDS,
        kind=st.sampled_from(list(SHARES)),
        value=st.floats(0, 1),
        size=st.integers(1, 6000),
        ttl_s=st.sampled_from([30, 300, 3000]),
    )
    def put(self, id: str, kind: Kind, value: float, size: int, ttl_s: float) -> None:
        if id in self.taken:
            return
        self.taken.add(id)
        losses = self.spool.put(
            envelope(kind, id=id, value=value, body=b"x" * size, ttl_s=ttl_s), {"id": id}
        )
        self.gone |= {loss.id for loss in losses}
        assert all(loss.kind is kind for loss in losses)

    @rule(window=st.integers(0, 4))
    def send(self, window: int) -> None:
        message = self.spool.next_to_send(window)
        if message is None:
            return
        assert message.id in self.taken - self.gone
        assert message.kind is not Kind.ESCALATION or self.spool.unanswered() < window
        self.spool.mark_sent(message.id)
        if message.kind is not Kind.ESCALATION:
            self.gone.add(message.id)

    @rule(id=IDS, outcome=st.sampled_from(list(Outcome)))
    def settle(self, id: str, outcome: Outcome) -> None:
        unsettled = self.spool.find(id)
        result = self.spool.settle(resolution(id, outcome))
        assert (result is Settled.FIRST) == (unsettled is not None)
        if result is Settled.FIRST:
            assert unsettled is not None
            assert unsettled.note == {"id": id}
            self.first.append(id)
            self.gone.add(id)

    @rule(id=IDS)
    def reject(self, id: str) -> None:
        self.gone |= {loss.id for loss in self.spool.reject(id)}

    @rule(seconds=st.sampled_from([1, 40, 400]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.gone |= {loss.id for loss in self.spool.expire()}

    @rule(patient=st.booleans())
    def look_for_overdue(self, patient: bool) -> None:
        before = self.spool.unanswered()
        again = self.spool.overdue(60, patient=patient)
        assert self.spool.unanswered() == before - again

    @rule(jump_s=st.sampled_from([-1e9, 0, 5, 1e9]))
    def restart(self, jump_s: float) -> None:
        self.spool.close()
        self.clock.jump(jump_s)
        self.spool = self.open()

    @invariant()
    def waiting_is_what_was_taken_and_is_not_gone(self) -> None:
        waiting = sum(lying.messages for lying in self.spool.backlog().values())
        assert waiting == len(self.taken - self.gone)

    @invariant()
    def the_ledger_adds_up(self) -> None:
        ledger = self.spool.ledger()
        for kind, lying in self.spool.backlog().items():
            entries = {entry: tally for (k, entry), tally in ledger.items() if k is kind}
            put = entries.pop("put", None)
            messages = lying.messages + sum(tally.messages for tally in entries.values())
            size_bytes = lying.size_bytes + sum(tally.size_bytes for tally in entries.values())
            assert (messages, size_bytes) == ((put.messages, put.size_bytes) if put else (0, 0))

    @invariant()
    def no_share_is_exceeded(self) -> None:
        for kind, lying in self.spool.backlog().items():
            assert lying.size_bytes <= MAX_BYTES * SHARES[kind]

    @invariant()
    def no_verdict_is_merged_twice(self) -> None:
        assert len(self.first) == len(set(self.first))

    @invariant()
    def the_metrics_say_the_same(self) -> None:
        ledger = self.spool.ledger()
        for cause in Cause:
            lost = sum(tally.messages for (_, entry), tally in ledger.items() if entry == cause)
            assert self.metrics.value("visionedge_spool_lost_total", {"cause": cause}) == lost


TestAnyInterleaving = SpoolMachine.TestCase
TestAnyInterleaving.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, print_blob=True
)

"""The hub around the verifier of a device: one message cannot hold up the others."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.support.envelopes import envelope
from tests.support.hub_fake import FakeHub

from visionedge.metrics import Metrics
from visionedge.uplink.direct_hub import DirectHub
from visionedge.uplink.egress import EgressLedger


class Verifier:
    """Has a fault of its own with one message, and takes all others."""

    destination = "nowhere"

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.enough = threading.Event()

    def handle(self, body: bytes, leaves: Callable[[], None]) -> float:
        if body == b"bad":
            raise RuntimeError("a fault of the verifier")
        self.taken.append(body)
        if len(self.taken) == 2:
            self.enough.set()
        return 0.0

    def deliver(self, apply: Callable[[Mapping[str, Any]], int]) -> None:
        """Nothing is ready."""

    def stop(self) -> None:
        """Nothing pauses."""

    def close(self) -> None:
        """Nothing is held."""


def test_a_message_on_which_the_verifier_fails_does_not_hold_up_those_behind_it(
    tmp_path: Path,
) -> None:
    verifier, metrics = Verifier(), Metrics()
    ledger = EgressLedger(tmp_path / "egress.jsonl", 10**6)
    hub = DirectHub(FakeHub(), verifier, ledger, metrics)
    hub.start(lambda _: None)
    for name in ("bad", "one", "two"):
        hub.send(envelope(id=name, body=name.encode()))
    assert verifier.enough.wait(10)
    assert verifier.taken == [b"one", b"two"]
    assert metrics.value("visionedge_worker_crashes_total", {"worker": "direct"}) == 1
    hub.close(5)

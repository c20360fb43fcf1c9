"""What is told once is told, although the disk could not take it then."""

import json
from datetime import timedelta
from pathlib import Path

from visionedge.entities import Kind
from visionedge.metrics import Metrics
from visionedge.reporting import Reporter
from visionedge.runtime.clock import FakeClock
from visionedge.telemetry import Telemetry
from visionedge.uplink.link import Link
from visionedge.uplink.spool import Spool


def test_a_change_of_health_waits_for_the_disk_with_its_own_time(tmp_path: Path) -> None:
    blocker = tmp_path / "spool"
    blocker.write_text("a file where the folder should be")
    clock, metrics = FakeClock(), Metrics()
    spool = Spool(
        blocker / "spool.db", max_bytes=10**7, max_age_s=1e6, metrics=metrics, clock=clock
    )
    reporter = Reporter(
        Telemetry(clock.utc()),
        metrics,
        spool,
        Link(60, clock),
        cameras=tuple,
        revision=lambda: 1,
        interval_s=60,
        clock=clock,
    )
    at = clock.utc()
    for state in ("down", "running"):
        reporter.health("camera/line-1", state, "")
        reporter._write_notes()
        clock.advance(10)
    blocker.unlink()
    reporter._write_notes()
    told = []
    while message := spool.next_to_send(1):
        assert message.kind is Kind.HEALTH
        told.append((json.loads(message.body)["state"], message.created_at))
        spool.mark_sent(message.id)
    assert told == [("down", at), ("running", at + timedelta(seconds=10))]
    spool.close()

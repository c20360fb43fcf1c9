"""While the cloud has asked for a pause escalations stay, everything else goes."""

from datetime import timedelta

from tests.support.envelopes import envelope
from tests.support.hub_fake import FakeHub

from visionedge.entities import Kind
from visionedge.metrics import Metrics
from visionedge.runtime.clock import FakeClock
from visionedge.uplink.link import Link
from visionedge.uplink.sender import Pacing, Sender
from visionedge.uplink.spool import Spool


def test_escalations_wait_for_the_end_of_a_pause_and_silence_in_it_is_no_outage(
    spool: Spool, clock: FakeClock, metrics: Metrics
) -> None:
    hub, link = FakeHub(), Link(120, clock)
    hub.start(lambda _: None)
    until = clock.utc() + timedelta(minutes=30)
    sender = Sender(spool, hub, link, metrics, Pacing(8, 120, until), clock=clock)
    spool.put(envelope(id="e", ttl_s=7200))
    sender.start()
    try:
        spool.put(envelope(Kind.TELEMETRY, id="t"))
        assert hub.wait(lambda: hub.ids() == ["t"])
        clock.advance(1799)
        spool.put(envelope(Kind.HEALTH, id="h"))
        assert hub.wait(lambda: hub.ids() == ["t", "h"])
        assert link.state == "online"
        clock.advance(20)
        assert hub.wait(lambda: hub.ids() == ["t", "h", "e"])
    finally:
        assert sender.stop(10)

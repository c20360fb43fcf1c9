"""A budget that is spent pauses the module by its twin; one that is raised lets it go on.

Module, SDK, hub, its service side over TLS and the verifier as its settings build it are real; the
Vision API is a stub, and the event hub between hub and verifier a queue.
"""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.running import busy_line, running, wait_until
from tests.support.vision_stub import Reply, serving

from devhub import DevHub, DeviceMessage
from devhub.authority import Authority
from devhub.service import ServiceSide
from verifier.admit import Meta
from verifier.build import Built, build
from verifier.hosts.worker import Worker
from verifier.settings import parse_settings
from verifier.stores.sqlite import SqliteStore

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
SEEN: Final = {"iteration": "7", "predictions": []}


def built(store: SqliteStore, vision: str, service: ServiceSide, per_device: int) -> Built:
    region = {"name": "here", "endpoint": vision, "key_env": "KEY"}
    backend: dict[str, Any] = {"kind": "customvision", "regions": [region]}
    backend |= {"project_id": "p", "published_name": "i"}
    document = {
        "routes": {"*": {"backend": backend, "want": ["objects"]}},
        "budget": {"per_hub": None, "per_device": per_device},
        "hub": {"connection_string_env": "HUB"},
        "store": {"file": "unused"},
    }
    environment = {"KEY": "k", "HUB": service.connection_string}
    return build(parse_settings(document), environment, store)


@contextmanager
def worker(hub: DevHub, made: Built) -> Iterator[None]:
    """A worker that takes all that the route takes."""
    arrived: queue.SimpleQueue[DeviceMessage | None] = queue.SimpleQueue()
    working = Worker(made, threads=1, sweep_s=0.2)

    def feed() -> None:
        while (message := arrived.get()) is not None:
            working.take([(message.body, Meta(hub.device_id, message.module_id))])

    feeder = threading.Thread(target=feed, daemon=True)
    hub.on_message(lambda m: arrived.put(m) if m.output == "escalation" else None)
    working.start()
    feeder.start()
    try:
        yield
    finally:
        working.stop()
        arrived.put(None)
        feeder.join(20)
        working.join()


def test_a_module_rests_while_its_budget_is_spent_and_goes_on_when_it_is_raised(
    devhub: DevHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority()
    (tmp_path / "ca.pem").write_text(authority.certificate_pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    store = SqliteStore(tmp_path / "ledger.db")

    def paused_until() -> str | None:
        desired = devhub.twin("visionedge")["desired"]
        said: str | None = desired.get("escalation", {}).get("pausedUntil")
        return said

    def escalations() -> int:
        return len(devhub.messages(output="escalation"))

    with (
        serving(Reply(200, SEEN)) as vision,
        ServiceSide(devhub, authority) as service,
        running(busy_line(tmp_path)) as app,
    ):
        with worker(devhub, built(store, vision.endpoint, service, 3)):
            wait_until(lambda: paused_until() is not None, "the pause in the twin", 60)
            wait_until(lambda: app.facts()["connectivity"]["escalations_paused_until"], "rest", 30)
            resting = escalations()
            processed = app.metrics.value("visionedge_frames_processed_total")
            wait_until(
                lambda: app.metrics.value("visionedge_frames_processed_total") > processed + 30,
                "thirty more frames",
            )
            # One that was on its way when the pause came may still have left.
            assert escalations() <= resting + 1
        assert len(vision.requests) == 3
        with worker(devhub, built(store, vision.endpoint, service, 1000)):
            wait_until(lambda: paused_until() is None, "the pause lifted", 30)
            wait_until(lambda: len(vision.requests) > 5, "more calls", 60)
    store.close()

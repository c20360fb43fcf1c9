"""A canary on a running line: its share of the frames, over a restart, then all of them or none."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tests.support.bundles import failing_on_white, zipped
from tests.support.hub_fake import FakeHub
from tests.support.running import busy_line, wait_until

from visionedge import linkup
from visionedge.app import App
from visionedge.entities import Kind

pytestmark = pytest.mark.timeout(300)
PATIENCE_S = 90.0
RULES = {
    "shadow_frames": 4, "guard_frames": 4, "min_agreement": 0.3, "max_latency_ratio": 100,
    "canary_share": 0.4, "canary_s": 100_000,
}  # fmt: skip


class Site:
    """A device whose module can be started again."""

    def __init__(self, folder: Path, hub: FakeHub) -> None:
        self.hub = hub
        self.document = busy_line(folder, delivery=RULES, telemetry={"interval_s": 1})
        self.document["escalation"] |= {"one_per_object": False, "min_interval_s": 0}
        self.document["uplink"] |= {"window": 200}
        self.app = App([self.document], environment=os.environ)
        self.app.start()

    def restart(self) -> None:
        self.app.stop(5)
        self.app = App([self.document], environment=os.environ)
        self.app.start()

    @property
    def told(self) -> dict[str, Any]:
        return dict(self.hub.reported.get("model", {}).get("bundles", {}).get("default", {}))

    def trial(self) -> dict[str, Any]:
        """The last one in telemetry."""
        windows = [e for e in list(self.hub.received) if e.kind is Kind.TELEMETRY]
        trials = [json.loads(e.body)["trials"] for e in windows]
        return dict(next((t["default"] for t in reversed(trials) if t), {}))

    def versions(self) -> set[str]:
        """Of the models that escalations name."""
        asked = [e for e in list(self.hub.received) if e.kind is Kind.ESCALATION]
        return {json.loads(e.body)["model"]["version"] for e in asked}

    def deliver(self, path: Path, sha256: str) -> None:
        model = {"uri": str(path), "sha256": sha256}
        self.hub.patch_desired({"models": {"default": model}})
        wait_until(lambda: self.told.get("state", "").startswith("canary"), "canary", PATIENCE_S)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    hub = FakeHub()
    monkeypatch.setattr(linkup, "choose", lambda *_: hub)
    site = Site(tmp_path, hub)
    yield site
    site.app.stop(3)


@pytest.mark.slow
def test_a_canary_answers_its_share_over_a_restart_and_then_takes_over(
    site: Site, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle.zip"
    sha256 = zipped(bundle)
    site.deliver(bundle, sha256)
    assert (site.told["staged"], site.told["share"]) == (sha256[:16], 0.4)
    assert site.app.lineup.models["default"].card.version == "1"
    wait_until(lambda: site.versions() == {"1", "2"}, "escalations of both", PATIENCE_S)
    wait_until(lambda: site.trial().get("compared", 0) > 2, "telemetry of both", PATIENCE_S)
    trial = site.trial()
    assert (trial["phase"], trial["share"], trial["errors"]) == ("canary", 0.4, 0)
    assert trial["agreement"] > 0.9
    assert trial["candidate_ms"] > 0
    assert trial["active_ms"] > 0
    site.restart()
    wait_until(lambda: site.app.lineup.trials.keys() == {"default"}, "the trial", PATIENCE_S)
    rivals = site.app.lineup.trials["default"]
    assert rivals.phase == "canary"
    assert rivals.held_s > 1
    site.hub.patch_desired({"delivery": {"canary_s": 0.5}})
    wait_until(lambda: site.told.get("active") == sha256[:16], "it takes over", PATIENCE_S)
    assert site.app.lineup.models["default"].card.version == "2"
    assert site.told["share"] == 0
    dropped = site.app.metrics.counts("visionedge_frames_dropped_total", "cause")
    assert {cause for cause, n in dropped.items() if n} <= {"replaced"}


@pytest.mark.slow
def test_a_canary_that_fails_is_rolled_back_and_costs_no_frame(site: Site, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.zip"
    site.deliver(bundle, zipped(bundle, change=failing_on_white))
    white = tmp_path / "white"
    white.mkdir()
    for number in range(3):
        picture = np.full((360, 640, 3), 252 + number, np.uint8)
        cv2.imwrite(str(white / f"{number}.png"), picture)
    camera = {"kind": "file", "path": str(white), "fps": 20, "defect_rate": None}
    site.hub.patch_desired({"cameras": {"line-1": camera}})
    wait_until(lambda: "failed on" in site.told.get("reason", ""), "the roll-back", PATIENCE_S)
    wait_until(lambda: site.hub.reported["models"]["ac"] == 400, "its answer", PATIENCE_S)
    assert site.app.lineup.models["default"].card.version == "1"
    results = site.app.metrics.counts("visionedge_model_deliveries_total", "result")
    assert results == {"rolled_back": 1}
    dropped = site.app.metrics.counts("visionedge_frames_dropped_total", "cause")
    assert {cause for cause, n in dropped.items() if n} <= {"replaced"}

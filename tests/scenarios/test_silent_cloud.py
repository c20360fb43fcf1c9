"""A minute in which edgeHub takes everything and the cloud says nothing, in real time."""

import resource
from pathlib import Path

import pytest
from tests.support.running import busy_line, running, wait_until

from demo.oracle import LineOracle
from devhub import DevHub
from devhub.verifier import Verifier
from visionedge.app import App
from visionedge.settings import PatternCamera

LINE = PatternCamera(kind="pattern", defect_rate=6, fps=15)
WINDOW = 4


def frames(app: App) -> float:
    return app.metrics.value("visionedge_frames_processed_total")


def silent(hub: DevHub, folder: Path, silent_s: float) -> None:
    line = busy_line(
        folder,
        escalation={"min_interval_s": 0.5, "control_per_hour": 0},
        uplink={"window": WINDOW, "answer_timeout_s": 2},
    )
    with running(line) as app:
        wait_until(lambda: len(hub.ids("escalation")) >= WINDOW, "the window is full", 40)
        began_s, first = app.uptime_s, frames(app)
        wait_until(lambda: app.uptime_s > began_s + silent_s / 2, "half a silence", silent_s)
        middle = frames(app)
        memory_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        wait_until(lambda: app.uptime_s > began_s + silent_s, "the whole silence", silent_s)
        last = frames(app)
        wait_until(lambda: app.link.state == "offline", "the silence is noticed")
        # Nothing waits for the cloud. How fast it goes is for the benchmarks to say: a test that
        # times a shared machine tests the machine.
        assert last > middle > first
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < memory_kib + 60_000
        sent = len(hub.ids("escalation"))
        made = app.metrics.value("visionedge_stage_seconds_count", {"stage": "snapshot"})
        assert made > sent
        assert app.metrics.value("visionedge_unanswered_escalations") <= WINDOW
        with Verifier(hub, LineOracle("line-1", LINE), delay_s=0.05) as verifier:
            wait_until(
                lambda: app.metrics.value("visionedge_resolutions_total") >= made,
                "all that was kept is settled",
                150,
            )
            assert app.link.state in ("draining", "online", "degraded")
            assert verifier.counts.statuses["unknown"] == 0
        assert not any(app.metrics.counts("visionedge_spool_lost_total", "cause").values())


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_cloud_that_is_silent_for_ten_seconds_costs_nothing(
    devhub: DevHub, tmp_path: Path
) -> None:
    silent(devhub, tmp_path, 10)


@pytest.mark.slow
@pytest.mark.timeout(450)
def test_a_cloud_that_is_silent_for_a_minute_costs_nothing(devhub: DevHub, tmp_path: Path) -> None:
    silent(devhub, tmp_path, 60)

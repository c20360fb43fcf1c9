"""The disk below the spool is full: the line goes on, and it is used again once there is room."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.running import busy_line, running, wait_until

from visionedge.app import App

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def mount(*arguments: str) -> bool:
    done = subprocess.run(["mount", "-t", "tmpfs", *arguments], capture_output=True, check=False)
    return done.returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of three megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or not mount("-o", "size=3m", "tmpfs", str(disk)):
        pytest.skip("a file system of a limited size needs root and the right to mount")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=False)


def lost(app: App) -> float:
    return app.metrics.value("visionedge_escalations_dropped_total", {"cause": "spool"})


def frames(app: App) -> float:
    return app.metrics.value("visionedge_frames_processed_total")


def test_inference_goes_on_on_a_full_disk_and_the_spool_comes_back(
    small_disk: Path, tmp_path: Path
) -> None:
    line = busy_line(
        tmp_path,
        spool={"path": str(small_disk / "spool.db")},
        egress={"path": str(small_disk / "egress.jsonl")},
        escalation={"second": {"enabled": False}, "budget": {"frames_per_minute": 0}},
        uplink={"kind": "local", "window": 1},
    )
    with running(line) as app:
        wait_until(lambda: lost(app) >= 2, "the disk is full", 120)
        then, dropped = frames(app), lost(app)
        wait_until(lambda: frames(app) > then + 30, "frames go on", 60)
        wait_until(lambda: lost(app) > dropped, "what cannot be kept is counted", 60)
        wait_until(lambda: "full" in app.status()["spool"]["fault"], "it is told", 60)
        assert "full" in app.facts()["module"]["spool_fault"]
        assert not app.stuck_parts()
        assert not app.metrics.value("visionedge_worker_crashes_total")
        assert mount("-o", "remount,size=64m", "tmpfs", str(small_disk))
        kept = app.metrics.value("visionedge_spool_messages", {"kind": "escalation"})
        wait_until(
            lambda: app.metrics.value("visionedge_spool_messages", {"kind": "escalation"}) > kept,
            "with room there is a spool again, without a restart",
            60,
        )
        # What was kept before is still there, and the ledger adds up.
        ledger = app._spool.ledger()
        lying = app._spool.backlog()
        for kind, backlog in lying.items():
            entries = {entry: t.messages for (k, entry), t in ledger.items() if k is kind}
            assert entries.pop("put", 0) == backlog.messages + sum(entries.values())

"""Where what must not be seen cannot be found, nothing leaves, and it is counted."""

from pathlib import Path

import pytest
from tests.support.detectors import MODEL, BrokenDetector
from tests.support.running import busy_line, running, wait_until

from devhub import DevHub

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(not MODEL.exists(), reason=f"{MODEL} is not there"),
]


def test_with_a_failing_face_detector_nothing_leaves_and_frames_go_on(
    devhub: DevHub, tmp_path: Path
) -> None:
    line = busy_line(tmp_path, escalation={"redaction": {"face_model": str(MODEL)}})
    with running(line) as app:
        wait_until(lambda: bool(devhub.ids("escalation")), "escalations with a detector")
        assert app.lineup._now is not None
        faces = app.lineup._now.wiring.snapshots._redactor._faces
        assert faces is not None
        faces._detector = BrokenDetector()  # type: ignore[assignment] # the vendor, failing
        dropped = "visionedge_escalations_dropped_total"
        # The first may come while a frame that the detector has passed is still being put.
        wait_until(lambda: app.metrics.value(dropped, {"cause": "redaction"}) >= 3, "refusals")
        put = app.metrics.value("visionedge_stage_seconds_count", {"stage": "spool"})
        frames = app.metrics.value("visionedge_frames_processed_total")
        refused = app.metrics.value(dropped, {"cause": "redaction"})
        wait_until(
            lambda: app.metrics.value(dropped, {"cause": "redaction"}) >= refused + 3, "more"
        )
        assert app.metrics.value("visionedge_stage_seconds_count", {"stage": "spool"}) == put
        # Those refused may all have waited for the encoder since before.
        wait_until(
            lambda: app.metrics.value("visionedge_frames_processed_total") > frames, "frames"
        )
        assert not app.metrics.value("visionedge_worker_crashes_total")

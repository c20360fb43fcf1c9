"""What frames do not wait for runs on what the frame loops leave of the cores."""

import os
import threading
from pathlib import Path

import pytest
from tests.support.running import busy_line, running, wait_until


def niceness(thread: threading.Thread) -> int:
    assert thread.native_id is not None
    return os.getpriority(os.PRIO_PROCESS, thread.native_id)


@pytest.mark.skipif(os.getpriority(os.PRIO_PROCESS, 0) > 14, reason="this process is as nice")
def test_pictures_are_made_and_looked_at_again_on_what_the_frame_loops_leave(
    tmp_path: Path,
) -> None:
    with running(busy_line(tmp_path)) as app:
        wait_until(
            lambda: app.metrics.value("visionedge_frames_processed_total") >= 1, "a first frame"
        )
        own = os.getpriority(os.PRIO_PROCESS, 0)
        found = {each.name: niceness(each) for each in threading.enumerate()}
    assert {found[name] for name in found if name.startswith("frames-")} == {own}
    assert {found["snapshots"], found["second-look"]} == {15}

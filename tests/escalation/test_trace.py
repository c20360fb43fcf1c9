"""The trace of decisions: a disk that refuses it ends it, and nothing else."""

import math
from pathlib import Path

from visionedge.escalation.trace import Trace


def test_a_disk_that_is_full_at_the_end_does_not_fail_the_stop() -> None:
    trace = Trace(Path("/dev/full"))
    trace._flush_s = math.inf
    trace.write("decide", camera="line-1")
    trace.close()
    trace.close()

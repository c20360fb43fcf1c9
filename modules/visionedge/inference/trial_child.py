"""The process of a trial; with `idle` beside a line, on what that leaves of the cores.

Apart from the trial, because to import that is most of what the process does, and not to be done
before it has stepped back.
"""

import sys
from typing import Final

from visionedge.runtime.cores import leave_all_cores

IDLE: Final = "idle"

if __name__ == "__main__":
    if IDLE in sys.argv:
        leave_all_cores()
    from visionedge.inference.trial import answer_for_trial

    answer_for_trial()

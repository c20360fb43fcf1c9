"""How busy others were does not count what this process and its children did."""

import subprocess
import sys
import time

from bench.load import Load

BUSY_S = 0.3
TICK_S = 0.05
"""Times of a process are kept in ticks of the kernel, 10 ms at most; user and system each."""


def test_a_child_that_has_ended_counts_as_our_own() -> None:
    load, own = Load(), time.process_time()
    burn = f"import time\nwhile time.process_time() < {BUSY_S}: pass"
    subprocess.run([sys.executable, "-c", burn], check=True, timeout=60)
    assert time.process_time() - own < BUSY_S - TICK_S < load.own_s()
    others = load.others()
    assert others is not None
    assert 0 <= others <= 1


def test_a_child_that_still_runs_counts_as_our_own() -> None:
    load = Load()
    burn = f"import time\nwhile time.process_time() < {BUSY_S}: pass\nprint()\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", burn], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert load.own_s() > BUSY_S - TICK_S
        child.kill()

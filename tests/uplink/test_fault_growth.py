"""A hundred times the same fault: no more threads, descriptors, clients or memory than before.

Only rows that are over in a moment; the others hang on deadlines, and rebuild as these do.
What counts is the difference between the `WARM`th repetition and the last, so that what is
made once (pools of the SDK, imports, caches) does not count, and what is left behind by each
does. Freed memory is given back before it is measured, as the module itself does it.
"""

import ctypes
import gc
import logging
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from tests.support.hub_sides import WAIT_S
from tests.support.linked_spool import LinkedSpool, arrives

from devhub import ROWS, DevHub
from visionedge.runtime.heap import resident_bytes
from visionedge.uplink.hub import DesiredDocument

CHEAP: Final = (
    *("connack-4", "connack-5", "drop-before-puback", "hub-recreated", "lost-session"),
    *("lost-twin-answer", "never-synced", "rotated-ca", "sas-expiry", "workload-500"),
    "workload-gone",
)
TIMES: Final = 100
WARM: Final = 20
LOOKS: Final = 6
SPARE_THREADS: Final = 12
"""The SDK's pools fill by and by: four threads for each of its three kinds of handlers."""
SPARE_DESCRIPTORS: Final = 4
"""Of a connection that is just coming or going."""
SPARE_OBJECTS: Final = 2
MEMORY_BYTES: Final = 8 * 2**20
"""A client of the SDK takes 0.5 MiB: if each repetition left one behind, it were 40."""
KINDS: Final = ("IoTHubModuleClient", "MQTTTransport", "Client", "SSLContext", "AzureSession")


@dataclass(frozen=True, slots=True)
class InUse:
    threads: int
    descriptors: int
    resident_bytes: int
    objects: Counter[str]


def in_use() -> InUse:
    gc.collect()
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
    kinds = Counter(type(each).__name__ for each in gc.get_objects())
    return InUse(
        threading.active_count(),
        sum(1 for _ in Path("/proc/self/fd").iterdir()),
        resident_bytes(),
        Counter({name: kinds[name] for name in KINDS}),
    )


def happens(devhub: DevHub, module: LinkedSpool, name: str) -> None:
    """The row begins, is met, ends, and all is well again."""
    row, connects, refused = ROWS[name], devhub.connect_count, devhub.refused_count
    rebuilds = module.metrics.value("visionedge_link_rebuilt_total")
    module.events.seen.clear()
    row.begin(devhub)
    module.put(1)

    def met() -> bool:
        rebuilt = module.metrics.value("visionedge_link_rebuilt_total") > rebuilds
        return rebuilt or devhub.connect_count > connects or devhub.refused_count > refused

    devhub.wait(met, WAIT_S, f"{name} to be met")
    row.end(devhub)
    module.events.wait(lambda event: isinstance(event, DesiredDocument))
    arrives(devhub, {f"escalation-{n}" for n in range(module.sent)})


@pytest.fixture
def module(devhub: DevHub, tmp_path: Path) -> Iterator[LinkedSpool]:
    # pytest keeps every log record, with its traceback, and with that the client that it is about.
    logging.disable(logging.CRITICAL)
    module = LinkedSpool(tmp_path)
    yield module
    module.close()
    logging.disable(logging.NOTSET)


def repeated(devhub: DevHub, module: LinkedSpool, name: str, warm: int, times: int) -> None:
    module.connect()
    for _ in range(warm):
        happens(devhub, module, name)
    before = in_use()
    for _ in range(times - warm):
        happens(devhub, module, name)

    after = in_use()
    for _ in range(LOOKS):
        # What is being shut down in this moment takes a moment.
        if not grown(before, after):
            break
        threading.Event().wait(0.5)
        after = in_use()
    print(f"{name}: after {warm} {before}\n{name}: after {times} {after}")  # noqa: T201 - with -s
    assert not grown(before, after)


def grown(before: InUse, after: InUse) -> list[str]:
    """What there is more of."""
    more = [kind for kind in KINDS if after.objects[kind] > before.objects[kind] + SPARE_OBJECTS]
    if after.threads > before.threads + SPARE_THREADS:
        more.append(f"{after.threads - before.threads} threads")
    if after.descriptors > before.descriptors + SPARE_DESCRIPTORS:
        more.append(f"{after.descriptors - before.descriptors} descriptors")
    if after.resident_bytes > before.resident_bytes + MEMORY_BYTES:
        more.append(f"{after.resident_bytes - before.resident_bytes} bytes")
    return more


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dozen_rebuilds_leave_nothing_behind(devhub: DevHub, module: LinkedSpool) -> None:
    repeated(devhub, module, "connack-5", warm=3, times=12)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("name", CHEAP)
def test_a_hundred_times_a_cheap_row_leaves_nothing_behind(
    devhub: DevHub, module: LinkedSpool, name: str
) -> None:
    repeated(devhub, module, name, WARM, TIMES)

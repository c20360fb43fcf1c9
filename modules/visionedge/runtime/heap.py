"""Memory that was freed, and that malloc keeps: give it back before it piles up.

glibc keeps freed blocks in the arena of the thread that had them, for the next time. What a
model or a camera leaves behind when it is let go fits nobody's next request, so the process
grows with each swap although nothing leaks: by measure 244 to 676 MiB over 24 changes of a
camera, 158 of them in use. `malloc_trim` hands whole free pages of all arenas back to the
system. Here it is called once the module has started, for what imports and loading left, when
the process has grown by a set amount since the last time, and once more a minute later, for
what was in use the first time, as two models are while one takes over. So a line that runs
steadily never pays for it.

And all threads share two arenas. By default there are eight a core, nearly one a thread, and each
keeps room for the largest frame that its thread ever had: 10 to 20 MB of 200 with one camera, by
measure. Threads hardly wait for each other, because frames and tensors are used again.

Why not a fixed threshold for mapped blocks: it saves as much, but each block above it is fresh
memory, which the kernel clears: a JPEG of 1080p takes 12 in place of 7 ms to decode.

Not promised: anything about memory in use. Where libc has no `malloc_trim` (musl, macOS)
nothing is done. Source: malloc_trim(3), mallopt(3).
"""

import ctypes
import logging
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from visionedge.runtime.clock import Clock, SystemClock

log: Final = logging.getLogger(__name__)
_STATM: Final = Path("/proc/self/statm")
_EVERY_S: Final = 5.0
_AFTER_NS: Final = 60 * 10**9
GROWTH_BYTES: Final = 48 * 1024**2
"""More than the buffers of a frame in flight, less than a model."""
_M_ARENA_MAX: Final = -8
"""Of glibc's malloc.h."""
_ARENAS: Final = 2


class Heap:
    """Gives freed memory back when the process has grown. For one thread.

    Args:
        trim: hands free pages to the system; None where libc cannot.
        resident: bytes of the process in memory; 0 where nobody tells.
        growth_bytes: since the last time, that are reason to trim.
        every_s: how often to look.
    """

    def __init__(
        self,
        trim: Callable[[], object] | None,
        resident: Callable[[], int],
        *,
        growth_bytes: int = GROWTH_BYTES,
        every_s: float = _EVERY_S,
        clock: Clock | None = None,
    ) -> None:
        self._trim = trim
        self._resident = resident
        self._growth_bytes = growth_bytes
        self._every_ns = round(every_s * 1e9)
        self._clock = clock or SystemClock()
        self._due_ns = self._clock.ns()
        self._again_ns: int | None = None
        # So that the first look finds growth, which is all that the start has left.
        self._least_bytes = 0

    def relieve(self) -> None:
        """Look, if it is time to, and trim, if there is reason to: tens of milliseconds."""
        now_ns = self._clock.ns()
        if self._trim is None or now_ns < self._due_ns:
            return
        self._due_ns = now_ns + self._every_ns
        before_bytes = self._resident()
        self._least_bytes = min(self._least_bytes, before_bytes)
        has_grown = before_bytes - self._least_bytes >= self._growth_bytes
        is_due_again = self._again_ns is not None and now_ns >= self._again_ns
        if not has_grown and not is_due_again:
            return
        self._again_ns = now_ns + _AFTER_NS if has_grown else None
        started_ns = time.monotonic_ns()
        self._trim()
        took_ms = (time.monotonic_ns() - started_ns) / 1e6
        self._least_bytes = self._resident()
        given_mib = (before_bytes - self._least_bytes) / 2**20
        log.debug("gave %.0f MiB of freed memory back in %.1f ms", given_mib, took_ms)


def system_heap(clock: Clock | None = None) -> Heap:
    """That of this process, which has few arenas from here on."""
    try:
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_ARENA_MAX, _ARENAS)
        trim = libc.malloc_trim
    except (OSError, AttributeError):
        return Heap(None, resident_bytes)
    return Heap(partial(trim, 0), resident_bytes, clock=clock)


def resident_bytes() -> int:
    """Memory of this process that is in RAM; 0 where /proc does not tell."""
    try:
        return int(_STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0

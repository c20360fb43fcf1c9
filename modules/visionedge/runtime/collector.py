"""When the garbage collector is let alone.

Imports make a few hundred thousand objects that all last, and the collector walks them again and
again: a fifth of the start, and later a pause of tens of milliseconds between frames.

And looking at the stacks of all threads allocates while it holds the interpreter's list of
threads. A collection in that moment runs finalizers, one of which may let another thread run, and
if that thread is just ending, both wait for ever, and all threads with them.
Source: CPython's issue 106883, mended in 3.12 and 3.11.9.
"""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_lock: Final = threading.Lock()
_holders = 0


@contextmanager
def paused() -> Iterator[None]:
    """No collection until the last of those who want none is done."""
    global _holders
    with _lock:
        _holders += 1
        gc.disable()
    try:
        yield
    finally:
        with _lock:
            _holders -= 1
            if not _holders:
                gc.enable()


@contextmanager
def uncollected() -> Iterator[None]:
    """Let the collector alone, and never look at what was made meanwhile."""
    with paused():
        yield
        gc.freeze()

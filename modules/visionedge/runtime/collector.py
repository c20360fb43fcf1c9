"""Imports without the garbage collector.

They make a few hundred thousand objects that all last, and the collector walks them again and
again: a fifth of the start, and later a pause of tens of milliseconds between frames.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Let the collector alone, and never look at what was made meanwhile."""
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()

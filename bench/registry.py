"""All benchmarks by name. A new one is one file and one line here."""

from collections.abc import Callable, Mapping
from typing import Final

from bench import (
    bookkeeping,
    cameras,
    cold_start,
    doubt,
    doubt_tuning,
    doubt_unseen,
    endurance,
    faults,
    messages,
    overhead,
    overlap,
    peers,
    swap,
    tune,
)
from bench.context import Context
from bench.report import Report

BENCHMARKS: Final[Mapping[str, Callable[[Context], Report]]] = {
    "overhead": overhead.run,
    "overlap": overlap.run,
    "peers": peers.run,
    "messages": messages.run,
    "endurance": endurance.run,
    "bookkeeping": bookkeeping.run,
    "cameras": cameras.run,
    "cold_start": cold_start.run,
    "doubt": doubt.run,
    "doubt_tuning": doubt_tuning.run,
    "doubt_unseen": doubt_unseen.run,
    "faults": faults.run,
    "swap": swap.run,
    "tune": tune.run,
}
"""The first line of the module's docstring is what `--list` shows."""
DEFAULTS: Final = ("overhead", "overlap", "cold_start")
"""What is measured where nothing is named: what a frame costs, in a few minutes."""

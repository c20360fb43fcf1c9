"""Latencies, counted in buckets: the same memory however many there are, exact enough at p99.

Buckets grow by a sixteenth of an octave from a tenth of a millisecond to a hundred seconds,
so a percentile is within 2.2 % of the true one, and never out of the range that was seen. A
reservoir would be exact on average and wrong where it matters.
"""

import math
from typing import Final

import numpy as np

from visionedge.wire import LatencyBody

_STEPS_AN_OCTAVE: Final = 16
_FASTEST_S: Final = 1e-4
_BUCKETS: Final = 20 * _STEPS_AN_OCTAVE


class Latencies:
    """Seconds, counted in buckets. Not safe for several threads."""

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self._least_s = math.inf
        self._most_s = 0.0

    def add(self, latency_s: float) -> None:
        """Count one."""
        octaves = math.log2(max(latency_s, _FASTEST_S) / _FASTEST_S)
        self._counts[min(int(octaves * _STEPS_AN_OCTAVE), _BUCKETS - 1)] += 1
        self._least_s = min(self._least_s, latency_s)
        self._most_s = max(self._most_s, latency_s)

    def percentiles(self) -> LatencyBody | None:
        """p50, p95 and p99 in milliseconds; None where nothing was counted."""
        if not any(self._counts):
            return None
        p50, p95, p99 = (round(self._percentile_s(q) * 1e3, 3) for q in (0.50, 0.95, 0.99))
        return LatencyBody(p50_ms=p50, p95_ms=p95, p99_ms=p99)

    def _percentile_s(self, quantile: float) -> float:
        reached = np.cumsum(self._counts)
        bucket = int(np.searchsorted(reached, quantile * reached[-1]))
        middle_s = _FASTEST_S * 2.0 ** ((bucket + 0.5) / _STEPS_AN_OCTAVE)
        return float(min(max(middle_s, self._least_s), self._most_s))

"""What may be asked in a minute, an hour and a day, spent on the most valuable doubt.

The future is not known, so a budget is not spent in order of arrival: the more of it is
gone, the more a doubt must be worth. The bar rises as `(U e / L)^z * L / e` with the spent
share `z`, for values between L and U: of all rules that see one item at a time this one is
nearest to a choice made with hindsight, at worst by a factor of 1 + ln(U / L) (Zhou,
Chakrabarty, Lukose, "Budget constrained bidding in keyword auctions and online knapsack
problems", 2008). The first quarter goes to whoever asks; the last part to the best alone.

Spending is forgotten evenly with time rather than at the full hour, so that no flood comes
with the stroke of the clock.

It outlives the process: the spool remembers what was made in the last day, and `restore`
spends that again, each at its age. What this does not promise: a past for a limit that is
set later, or for what was made before a damaged spool was set aside.
"""

import math
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from visionedge.settings import BudgetSettings, Settings

_LEAST, _MOST = 0.05, 1.0
_RATIO: Final = math.log(_MOST * math.e / _LEAST)
_SPANS_S: Final = {"minute": 60.0, "hour": 3600.0, "day": 86_400.0}
_EVERYBODY: Final = ""


def least_value(spent: float) -> float:
    """What a doubt must be worth when `spent`, 0..1, of a budget is gone."""
    if spent >= 1:
        return math.inf
    bar = _LEAST / math.e * math.exp(_RATIO * max(0.0, spent))
    return 0.0 if bar <= _LEAST else bar


@dataclass(slots=True)
class _Tank:
    """What was spent lately of one limit: drained at the rate the limit allows."""

    span_s: float
    level: float = 0.0
    at_ns: int | None = None

    def now(self, limit: float, now_ns: int) -> float:
        """The spent amount, after draining until now."""
        at_ns = now_ns if self.at_ns is None else self.at_ns
        gone_s = max(0, now_ns - at_ns) / 1e9
        self.level = max(0.0, self.level - limit * gone_s / self.span_s)
        self.at_ns = max(at_ns, now_ns)
        return self.level


class Spending:
    """What was spent, by camera and by limit; it outlives a change of settings."""

    def __init__(self) -> None:
        self.lock: Final = threading.Lock()
        """Held by whoever reads or writes the tanks."""
        self._tanks: dict[tuple[str, str], _Tank] = {}

    def tank(self, owner: str, limit: str) -> _Tank:
        """The one of this owner and limit."""
        key = (owner, limit)
        if key not in self._tanks:
            self._tanks[key] = _Tank(_SPANS_S[limit.rpartition("_")[2]])
        return self._tanks[key]


class Budget:
    """Admits doubts by one revision of the settings. Safe for all threads.

    Args:
        settings: the budgets of all and of each camera.
        spending: handed on from the budget that this one replaces.
    """

    def __init__(self, settings: Settings, spending: Spending | None = None) -> None:
        self.spending = spending or Spending()
        self._limits = {
            _EVERYBODY: _limits(settings.escalation.budget),
            **{name: _limits(camera.budget) for name, camera in settings.cameras.items()},
        }

    def admits(self, camera_id: str, value: float, now_ns: int) -> bool:
        """True if `value` is worth what is left of each budget it would draw on."""
        with self.spending.lock:
            return all(
                self._fits(owner, name, limit, now_ns, value)
                for owner in (_EVERYBODY, camera_id)
                for name, limit in self._limits.get(owner, {}).items()
            )

    def spend(self, camera_id: str, size_bytes: int, now_ns: int) -> None:
        """One escalation of `size_bytes` was made."""
        with self.spending.lock:
            for owner in (_EVERYBODY, camera_id):
                for name, limit in self._limits.get(owner, {}).items():
                    tank = self.spending.tank(owner, name)
                    tank.now(limit, now_ns)
                    tank.level += 1 if name.startswith("frames") else size_bytes

    def restore(self, made: Iterable[tuple[str, int, float]], now_ns: int) -> None:
        """Spend again what an earlier process spent.

        Args:
            made: camera, bytes and age in seconds of each escalation, the oldest first.
            now_ns: monotonic.
        """
        for camera_id, size_bytes, age_s in made:
            self.spend(camera_id, size_bytes, now_ns - round(age_s * 1e9))

    def _fits(self, owner: str, name: str, limit: float, now_ns: int, value: float) -> bool:
        spent = self.spending.tank(owner, name).now(limit, now_ns)
        if name.startswith("frames") and spent + 1 > limit:
            return False
        return value >= least_value(spent / limit)


def _limits(budget: BudgetSettings) -> Mapping[str, float]:
    return {name: limit for name, limit in budget.model_dump().items() if limit}

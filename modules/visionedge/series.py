"""What is counted: counters, gauges and histograms with labels, as Prometheus calls them.

Counting is ours, and the page is written by Prometheus' own library when somebody asks for it
(`metrics`): that library brings a web server, TLS and mail, of which a start needs nothing and
a device with another way to the cloud never does.

All of it is safe for all threads. A child, one set of values for the labels, is made when it is
first asked for and is cheap to hold on to.
"""

import math
import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple, Self


class Sample(NamedTuple):
    """One line of the page, without what is said of all."""

    name: str
    labels: Mapping[str, str]
    value: float


class _Series:
    """A series, or one child of it, which has no names of labels."""

    def __init__(self, name: str, label_names: tuple[str, ...] = ()) -> None:
        self.name: Final = name
        self.label_names: Final = label_names
        self._lock: Final = threading.Lock()
        self._children: Final[dict[tuple[str, ...], Self]] = {}

    def labels(self, *values: str) -> Self:
        """The child with these values, in the order of the names.

        Raises:
            ValueError: there are more or fewer names.
        """
        child = self._children.get(values)
        if child is None:
            if len(values) != len(self.label_names):
                raise ValueError(f"{self.name} has the labels {self.label_names}, not {values}")
            key = tuple(map(str, values))
            with self._lock:
                child = self._children.setdefault(key, self._child())
        return child

    def forget(self, label: str, value: str) -> None:
        """Take away the children with this value of a label."""
        at = self.label_names.index(label)
        with self._lock:
            for key in [key for key in self._children if key[at] == value]:
                del self._children[key]

    def samples(self) -> Iterator[Sample]:
        """What the page says of it now."""
        if not self.label_names:
            yield from self._own({})
            return
        with self._lock:
            children = list(self._children.items())
        for values, child in children:
            yield from child._own(dict(zip(self.label_names, values, strict=True)))

    def _child(self) -> Self:
        return type(self)(self.name)

    def _own(self, labels: Mapping[str, str]) -> Iterator[Sample]:
        raise TypeError(f"{type(self).__name__} has no samples")

    def _check(self) -> None:
        """Refuse to count what nobody would ever see."""
        if self.label_names:
            raise ValueError(f"{self.name} is counted by {self.label_names}: ask for `labels`")


class Counter(_Series):
    """A number that only grows."""

    def __init__(self, name: str, label_names: tuple[str, ...] = ()) -> None:
        super().__init__(name, label_names)
        self._value = 0.0

    def inc(self, amount: float = 1) -> None:
        """Add.

        Raises:
            ValueError: the amount is below 0.
        """
        self._check()
        if amount < 0:
            raise ValueError(f"{self.name} only grows, and not by {amount}")
        with self._lock:
            self._value += amount

    def _own(self, labels: Mapping[str, str]) -> Iterator[Sample]:
        yield Sample(self.name, labels, self._value)


class Gauge(_Series):
    """A number as it is now."""

    def __init__(self, name: str, label_names: tuple[str, ...] = ()) -> None:
        super().__init__(name, label_names)
        self._value = 0.0

    def set(self, value: float) -> None:
        """Say what it is now."""
        self._check()
        self._value = float(value)

    def _own(self, labels: Mapping[str, str]) -> Iterator[Sample]:
        yield Sample(self.name, labels, self._value)


class Histogram(_Series):
    """How often a number was how large.

    Args:
        name: without the ends that its samples have.
        bounds: upper ones, growing; what is larger than all is counted as well.
        label_names: of its children.
    """

    def __init__(
        self, name: str, bounds: Sequence[float], label_names: tuple[str, ...] = ()
    ) -> None:
        super().__init__(name, label_names)
        self._bounds: Final = tuple(map(float, bounds))
        self._counts: Final = [0] * (len(self._bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count one."""
        self._check()
        at = bisect_left(self._bounds, value)
        with self._lock:
            self._counts[at] += 1
            self._sum += value

    def _child(self) -> Self:
        return type(self)(self.name, self._bounds)

    def _own(self, labels: Mapping[str, str]) -> Iterator[Sample]:
        with self._lock:
            counts, total = list(self._counts), self._sum
        below = 0
        for bound, count in zip((*self._bounds, math.inf), counts, strict=True):
            below += count
            le = "+Inf" if math.isinf(bound) else repr(bound)
            yield Sample(f"{self.name}_bucket", {**labels, "le": le}, below)
        yield Sample(f"{self.name}_count", labels, below)
        yield Sample(f"{self.name}_sum", labels, total)

"""What the module tells of itself unasked: reported properties that answer nothing.

What the module is, which models it has, how its cameras and the link do. A patch goes out only
where something changed, and not too often; what is too much for a twin is left out from its least
important end, and counted.

A hub may refuse a patch (4xx), and has merged none of it then. It does not say which part is to
blame, so each section is tried by itself, one in ten seconds. A section that is refused by itself
is not tried again before it has changed: it would be refused again, and is not to hold up the
others. The log tells it once (`acknowledge`), and the direct method `diagnostics` still has it.

Nothing here does I/O, and nothing is safe for several threads: it belongs to the control thread.
"""

from collections.abc import Mapping
from typing import Any, Final

from visionedge.runtime.clock import Clock, SystemClock
from visionedge.settings import Document
from visionedge.twin import holdable, size_bytes

_MAX_BYTES: Final = 6_000
_EVERY_S: Final = 10.0
"""Between two patches; IoT Hub throttles twin updates, and edgeHub syncs each 5 s."""


class FactsReport:
    """What changed since the hub was last told, as patches.

    Args:
        every_s: least time between two patches.
    """

    def __init__(self, clock: Clock | None = None, every_s: float = _EVERY_S) -> None:
        self._clock = clock or SystemClock()
        self._every_ns = round(every_s * 1e9)
        self._due_ns = 0
        self._looked_at: Document | None = None
        self._told: Document = {}
        """What the hub has once it has the last patch."""
        self._before: Document = {}
        """What it has if it refuses that."""
        self._patched: tuple[str, ...] = ()
        """Sections of the last patch."""
        self._refused: Document = {}
        """Sections that were refused by themselves, as they were then; None for one taken away."""
        self._is_apart = False
        """Whether a patch takes one section only."""

    def patch(self, facts: Document) -> Document | None:
        """The changes since the last patch; None where there are none, or it is too early."""
        if self._clock.ns() < self._due_ns or facts == self._looked_at:
            return None
        telling = self._acceptable(_short(facts))
        patch = _changes(self._told, telling)
        if self._is_apart and len(patch) > 1:
            # The rest is looked at again when this one is through.
            name = next(iter(patch))
            patch = {name: patch[name]}
            telling = _with_section(self._told, name, telling.get(name))
        else:
            self._looked_at, self._is_apart = facts, bool(self._refused)
        if not patch:
            return None
        self._before, self._told, self._patched = self._told, telling, tuple(patch)
        self._due_ns = self._clock.ns() + self._every_ns
        return patch

    def refused(self) -> None:
        """The hub never takes the last patch: tell its sections one by one, and a lone one not."""
        if len(self._patched) == 1:
            (name,) = self._patched
            self._refused[name] = self._told.get(name)
        self._told, self._looked_at, self._is_apart = self._before, None, True

    def forget(self) -> None:
        """The hub knows nothing of it any more: tell all of it next."""
        self._told, self._before, self._patched, self._refused = {}, {}, (), {}
        self._looked_at, self._is_apart = None, False

    def _acceptable(self, telling: Document) -> Document:
        """`telling`, but as the hub has them what was refused and has not changed since."""
        self._refused = {
            name: section for name, section in self._refused.items() if telling.get(name) == section
        }
        for name in self._refused:
            telling = _with_section(telling, name, self._told.get(name))
        return telling


def _with_section(document: Document, name: str, section: object) -> Document:
    """`document` with a section as given, None for none."""
    rest = {key: value for key, value in document.items() if key != name}
    return rest if section is None else {**rest, name: section}


def _short(facts: Document) -> Document:
    """The facts as a twin can hold them.

    Where they are too many, the section that is largest lets go of the last entry of its largest
    map, which is its least important, and so on; `left_out` tells how many have gone. A section
    without entries goes as a whole.
    """
    telling: Document = {key: holdable(value, value) for key, value in facts.items()}
    while size_bytes(telling) > _MAX_BYTES:
        largest = max(telling, key=lambda key: size_bytes(telling[key]))
        section = telling[largest]
        full = [entries for entries in section.values() if isinstance(entries, dict) and entries]
        if full:
            max(full, key=size_bytes).popitem()
            section["left_out"] = section.get("left_out", 0) + 1
        else:
            del telling[largest]
    return telling


def _changes(told: Mapping[str, Any], telling: Mapping[str, Any]) -> Document:
    """The patch from `told` to `telling` (RFC 7386), without what is the same."""
    patch: Document = {key: None for key in told if key not in telling}
    for key, value in telling.items():
        under = told.get(key)
        if isinstance(under, Mapping) and isinstance(value, Mapping):
            if changed := _changes(under, value):
                patch[key] = changed
        elif key not in told or under != value:
            patch[key] = value
    return patch

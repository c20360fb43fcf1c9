"""From a vendor's names to ours.

A Vision API says `Laptop computer` where the line's model says `laptop`, and speaks of chairs
that nobody asked about. The module compares names, so they are translated here, where the
vendor is known. Names are compared without case and with single spaces.

With `only_mapped` whatever has no translation is left out: on a factory line a chair in the
background is no missed object. Without it, names pass as the vendor wrote them, in lower case.

Characters that steer a terminal, or turn the direction of a line, are no part of a name: they would
act in every log and table that shows the verdict.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_CONTROLS: Final = (*range(0x20), *range(0x7F, 0xA0))
_BIDI: Final = (0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_STEERING: Final = dict.fromkeys(c for c in (*_CONTROLS, *_BIDI) if not chr(c).isspace())


def plain(name: str) -> str:
    """A name as names are compared."""
    return " ".join(_shown(name).casefold().replace("_", " ").replace("-", " ").split())


def _shown(name: str) -> str:
    return name.translate(_STEERING)


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Translates names.

    Args:
        names: From the vendor's name to ours.
        only_mapped: Leave out what has no translation.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    only_mapped: bool = False
    _plain: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        plain_names = {plain(theirs): ours for theirs, ours in self.names.items()}
        object.__setattr__(self, "_plain", plain_names)

    def ours(self, name: str) -> str | None:
        """Our name for it, or None if it is left out."""
        known = self._plain.get(plain(name))
        if known is None and not self.only_mapped:
            return " ".join(_shown(name).casefold().split())[:256] or None
        return known

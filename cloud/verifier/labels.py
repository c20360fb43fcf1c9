"""From a vendor's names to ours.

A Vision API says `Laptop computer` where the line's model says `laptop`, and speaks of chairs
that nobody asked about. The module compares names, so they are translated here, where the
vendor is known. Names are compared without case and with single spaces.

With `only_mapped` whatever has no translation is left out: on a factory line a chair in the
background is no missed object. Without it, names pass as the vendor wrote them, in lower case.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


def plain(name: str) -> str:
    """A name as names are compared."""
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


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
            return " ".join(name.casefold().split())[:256] or None
        return known

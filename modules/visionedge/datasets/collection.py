"""Samples on a shelf, a folder a day: kept, read, and forgotten by age.

    2026/11/21/index.jsonl    a line a sample
    2026/11/21/ID.jpg         its picture

The picture is written before its line, so a line without a picture is one that was forgotten, and
a picture without a line is one that a crash left; it goes with its day. A sample that is kept twice
has two lines, and the last one counts.

Days are UTC, and of the time at which a sample was kept: so what is to be forgotten is told by the
key alone, and a lifecycle rule of blob storage does the same.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from functools import partial
from typing import Final

from visionedge.datasets.sample import Sample, read_lines
from visionedge.datasets.shelf import Shelf

_INDEX: Final = "index.jsonl"


class Collection:
    """Reads and writes samples. Writers may be many; each line is one append."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def keep(self, sample: Sample, jpeg: bytes) -> None:
        """Put a sample there; its `picture` says where the JPEG goes.

        Raises:
            OSError: it is not kept, or only its picture is.
        """
        self._shelf.write(sample.picture, jpeg)
        self._shelf.append(f"{day_of(sample.kept_at)}/{_INDEX}", sample.encode())

    def indexes(self) -> list[str]:
        """Keys of the index of each day."""
        return [key for key in list(self._shelf.keys()) if key.endswith(f"/{_INDEX}")]

    def samples(
        self,
        wanted: Callable[[Sample], bool] = lambda _: True,
        damaged: Callable[[str], object] = lambda _: None,
    ) -> Iterator[Sample]:
        """Those that are wanted, their pictures forgotten or not; of one id the last line.

        Two devices may use the same id, and one must not take the other's place.

        Args:
            wanted: says which.
            damaged: told the key of the index for each line in it that is none.
        """
        found: dict[tuple[str, str, str], Sample] = {}
        for key in self.indexes():
            for sample in read_lines(self._shelf.read(key) or b"", partial(damaged, key)):
                case = (sample.device, sample.module, sample.id)
                found.pop(case, None)
                if wanted(sample):
                    found[case] = sample
        yield from found.values()

    def jpeg(self, sample: Sample) -> bytes | None:
        """The picture, or None where it was forgotten."""
        return self._shelf.read(sample.picture)

    def forget_before(self, day: date) -> int:
        """Forget whole days; returns how many pictures went."""
        gone = 0
        for key in list(self._shelf.keys()):
            kept_on = _day_in(key)
            if kept_on is not None and kept_on < day:
                self._shelf.delete(key)
                gone += key.endswith(".jpg")
        return gone


def day_of(at: datetime) -> str:
    """`2026/11/21`."""
    return f"{at.astimezone(UTC):%Y/%m/%d}"


def picture_key(escalation_id: str, kept_at: datetime) -> str:
    """Where the JPEG of an escalation goes; an id is a plain word and no path."""
    return f"{day_of(kept_at)}/{escalation_id.replace(':', '_')}.jpg"


def _day_in(key: str) -> date | None:
    """The day that a key begins with; None for what is not ours."""
    try:
        return date(*map(int, key.split("/")[:3]))
    except (ValueError, TypeError):
        return None

"""Pictures and their truth, in the terms of the model that is judged.

A data set has its own names and numbers of classes. They are matched to the model's by
name, spelling aside (`pin-hole` is `pin_hole`), because the numbers of two exporters never
agree; a set without names is taken to count as the model does. What matches nothing is an
error and not a class that is never found.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visionedge.errors import SettingsError
from visionedge.evaluation.average_precision import Boxes

_MOST_NAMES: Final = 12
_MOST_PX: Final = 1e9


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One picture of a data set.

    Attributes:
        path: of the file.
        class_id: (n,) int32, in the numbers of the data set.
        xyxy: (n, 4) float32, pixels; None where the picture as a whole is of its class.
    """

    path: Path
    class_id: NDArray[np.int32]
    xyxy: NDArray[np.float32] | None = None

    @property
    def truth(self) -> Boxes:
        """The boxes that are really there."""
        xyxy = np.zeros((0, 4), np.float32) if self.xyxy is None else self.xyxy
        return Boxes.true(xyxy, self.class_id)


@dataclass(frozen=True, slots=True)
class Dataset:
    """All pictures, and the names of their classes; empty where the set has none.

    Attributes:
        format: in which it is kept.
        names: of the classes, in the order of their numbers.
        pictures: with their truth.
        left_out: files of truth whose picture is not there.
    """

    format: str
    names: tuple[str, ...]
    pictures: Sequence[Picture]
    left_out: Sequence[Path] = ()

    @property
    def without_picture(self) -> str:
        """What was left out, for people; empty where nothing was."""
        if not self.left_out:
            return ""
        names = listed([file.name for file in self.left_out])
        if len(self.left_out) == 1:
            return f"1 truth file has no picture and was left out: {names}"
        return f"{len(self.left_out)} truth files have no picture and were left out: {names}"

    @property
    def empty(self) -> int:
        """How many pictures have nothing in them."""
        return sum(not len(picture.class_id) for picture in self.pictures)

    @property
    def is_detection(self) -> bool:
        """True where the truth is boxes."""
        return any(picture.xyxy is not None for picture in self.pictures)

    def in_terms_of(self, labels: Sequence[str], same: Mapping[str, str]) -> "Dataset":
        """The same pictures with the class numbers of a model.

        Args:
            labels: of the model.
            same: names of the data set to those of the model, where they differ.

        Raises:
            SettingsError: a class of the data set is none of the model's.
        """
        self._check(labels, same)
        numbers = self._numbers(labels, same)
        for each in self.pictures:
            if each.class_id.max(initial=0) >= max(1, len(numbers)):
                raise SettingsError(
                    f"{each.path} has class {each.class_id.max()}, and the data set names "
                    f"{len(numbers)}: {listed(self.names)}",
                    hint="name all classes in classes.txt or data.yaml",
                )
        pictures = [
            Picture(each.path, numbers[each.class_id].astype(np.int32), each.xyxy)
            for each in self.pictures
        ]
        if any((each.class_id < 0).any() for each in pictures):
            unknown = [name for name, number in zip(self.names, numbers, strict=True) if number < 0]
            raise SettingsError(
                f"the model knows no {listed(unknown)}; it knows {listed(labels)}",
                hint="say which is which with `--map THEIRS=OURS`",
            )
        return replace(self, names=tuple(labels), pictures=pictures)

    def _check(self, labels: Sequence[str], same: Mapping[str, str]) -> None:
        for theirs, ours in same.items():
            if plain(theirs) not in map(plain, self.names):
                raise SettingsError(
                    f"the data set has no class {theirs}; it has {listed(self.names)}",
                    hint="mend `--map THEIRS=OURS`",
                )
            if plain(ours) not in map(plain, labels):
                raise SettingsError(
                    f"the model knows no {ours}; it knows {listed(labels)}",
                    hint="mend `--map THEIRS=OURS`",
                )

    def _numbers(self, labels: Sequence[str], same: Mapping[str, str]) -> NDArray[np.int32]:
        if self.names:
            known = {plain(label): number for number, label in enumerate(labels)}
            ours = {plain(name): plain(label) for name, label in same.items()}
            wanted = [ours.get(plain(name), plain(name)) for name in self.names]
            return np.array([known.get(name, -1) for name in wanted], np.int32)
        highest = max((int(each.class_id.max(initial=0)) for each in self.pictures), default=0)
        if highest >= len(labels):
            raise SettingsError(
                f"the data set has class {highest}, and the model {len(labels)} classes",
                hint="put a classes.txt with the names of the data set beside it",
            )
        return np.arange(len(labels), dtype=np.int32)


def listed(names: Sequence[str]) -> str:
    """Names for a message: all, or the first and how many more."""
    if not names:
        return "none"
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"{', '.join(names[:_MOST_NAMES])}{more}"


def plain(name: str) -> str:
    """A name without the differences of spelling."""
    return re.sub(r"[\W_]+", "", name).casefold()


def boxes(rows: Sequence[Sequence[float]]) -> NDArray[np.float32]:
    """Rows of x1 y1 x2 y2 as (n, 4) float32.

    Raises:
        ValueError: one is no box.
    """
    found = np.array(rows, np.float64).reshape(-1, 4)
    if not (np.abs(found) < _MOST_PX).all() or (found[:, 2:] < found[:, :2]).any():
        raise ValueError("a box is not finite, or has a side below 0")
    return found.astype(np.float32)

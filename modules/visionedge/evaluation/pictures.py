"""Where the picture of a file of truth lies.

Beside it, or in the folder of pictures that goes with its own: `images` with `labels`, and
`JPEGImages` with `Annotations`. Cameras write `.JPG` as often as `.jpg`, so suffixes are
matched without regard to case.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

SUFFIXES: Final = (
    ".jpg", ".jpeg", ".png", ".avif", ".bmp", ".dib", ".gif", ".jfif", ".jp2", ".jpe", ".pbm",
    ".pgm", ".pnm", ".ppm", ".ras", ".sr", ".tif", ".tiff", ".webp",
)  # fmt: skip
"""What OpenCV decodes, but for those of floating point: nobody knows which number is white.
Of two pictures of one name the first of these is taken."""
_GO_TOGETHER: Final = (("labels", "images"), ("Annotations", "JPEGImages"))
NO_CLASSES: Final = frozenset(name for pair in _GO_TOGETHER for name in pair)
"""Names of folders that hold pictures and their truth, and are no classes."""


class Pictures:
    """Finds the pictures of a data set; lists each folder once."""

    def __init__(self) -> None:
        self._listed: dict[Path, dict[str, Path]] = {}
        self._found: set[Path] = set()
        self._whole: set[Path] = set()
        """Folders of pictures whose truth is all in one folder, as far as can be told."""

    def of(self, truth: Path, named: str = "") -> Path | None:
        """The picture of a file of truth, or None.

        Args:
            truth: the file.
            named: what it calls its picture, if it does.
        """
        names = [truth.stem + suffix for suffix in SUFFIXES]
        if named:
            names.insert(0, _plain(Path(named)))
        theirs = (truth.parent, *_swapped(truth.parent))
        for folder in (*theirs, truth.parent.parent / "images"):
            inside = self._inside(folder)
            for name in names:
                if name in inside:
                    self._found.add(inside[name])
                    # Other `images` may be those of several folders of truth, as of each split.
                    self._whole |= {folder} & {*theirs}
                    return inside[name]
        return None

    def without_truth(self) -> list[Path]:
        """The pictures for which no truth was found, where the truth of all would be."""
        # A truth is that of all pictures of its name, whatever their suffixes.
        known = {picture.with_suffix("") for picture in self._found}
        return sorted(
            file
            for folder in self._whole
            for file in self._inside(folder).values()
            if file.suffix.lower() in SUFFIXES and file.with_suffix("") not in known
        )

    def _inside(self, folder: Path) -> dict[str, Path]:
        if folder not in self._listed:
            files = sorted(folder.iterdir()) if folder.is_dir() else []
            self._listed[folder] = {_plain(file): file for file in files if file.is_file()}
        return self._listed[folder]


def _plain(file: Path) -> str:
    return file.stem + file.suffix.lower()


def _swapped(folder: Path) -> Iterator[Path]:
    """The folders of pictures that go with a folder of truth."""
    parts = folder.parts
    for truth, pictures in _GO_TOGETHER:
        if truth in parts:
            # The last: the data set may itself lie below a folder of that name.
            at = len(parts) - 1 - parts[::-1].index(truth)
            yield Path(*parts[:at], pictures, *parts[at + 1 :])

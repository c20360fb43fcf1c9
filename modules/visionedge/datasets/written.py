"""What the writers of data sets share: pictures into a folder, and the sum of what was written."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from visionedge.datasets.truth import Example


@dataclass(slots=True)
class Written:
    """What became of the examples.

    Attributes:
        pictures: written.
        objects: boxes, or pictures with a class.
        names: of the classes, in the order of their numbers.
        left_out: pictures that were not written, by cause.
    """

    pictures: int = 0
    objects: int = 0
    names: tuple[str, ...] = ()
    left_out: Counter[str] = field(default_factory=Counter)


def with_pictures(
    examples: Sequence[Example], folder: Path, written: Written
) -> Iterator[tuple[Example, str]]:
    """Each example whose picture could be written, with the name of the file in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for example in examples:
        jpeg = example.jpeg()
        if jpeg is None:
            written.left_out["the picture is gone"] += 1
            continue
        name = f"{example.name}.jpg"
        write_file(folder / name, jpeg)
        written.pictures += 1
        yield example, name


def of_boxes(examples: Sequence[Example], written: Written) -> list[Example]:
    """Those whose truth is boxes."""
    found = [each for each in examples if each.regions is not None]
    if left := len(examples) - len(found):
        written.left_out["a class has no boxes"] += left
    return found


def write_json(path: Path, document: Any) -> None:  # noqa: ANN401 - JSON
    """Write a document, for people too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, f"{json.dumps(document, indent=1)}\n".encode())


def write_file(path: Path, content: bytes) -> None:
    """Write a file; an error names it, which Python's own does not where the disk is full."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None

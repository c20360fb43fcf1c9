"""A folder a class, with its pictures inside: what trainers of classifiers read.

A picture with boxes goes into the folder of its only class; one with nothing in it into
`(nothing)`. One that shows several classes belongs into no folder and is left out: write COCO or
YOLO instead.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from visionedge.datasets.truth import Example, names_in
from visionedge.datasets.written import Written, write_file

NOTHING: Final = "(nothing)"
_UNSAFE: Final = re.compile(r"[^\w .()+-]")


def write(examples: Sequence[Example], folder: Path) -> Written:
    """Write the examples that show one class, or nothing."""
    written = Written()
    names = names_in(examples)
    for example in examples:
        spelled = {names.name(label) for label in example.labels}
        if len(spelled) > 1:
            written.left_out["it shows several classes"] += 1
            continue
        jpeg = example.jpeg()
        if jpeg is None:
            written.left_out["the picture is gone"] += 1
            continue
        place = folder / _folder_name(next(iter(spelled), NOTHING))
        place.mkdir(parents=True, exist_ok=True)
        write_file(place / f"{example.name}.jpg", jpeg)
        written.pictures += 1
        written.objects += bool(spelled)
    written.names = names.all
    return written


def _folder_name(label: str) -> str:
    """A label as a folder on any system; two labels that become one share it."""
    return _UNSAFE.sub("_", label).strip(". ") or "_"

"""YOLO: a text file beside each picture, as Ultralytics reads it.

    data.yaml
    images/ID.jpg
    labels/ID.txt      a line an object: class, centre x, centre y, width, height, all in 0..1

An empty text file is a picture with nothing in it, which a detector learns from as well. There is
one split: how to part a set is a question for whoever trains.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from visionedge.datasets.truth import Example, Names, Region, names_in
from visionedge.datasets.written import Written, of_boxes, with_pictures, write_file


def write(examples: Sequence[Example], folder: Path) -> Written:
    """Write the examples that have boxes."""
    written = Written()
    boxed = of_boxes(examples, written)
    names = names_in(boxed)
    labels = folder / "labels"
    labels.mkdir(parents=True, exist_ok=True)
    for example, _ in with_pictures(boxed, folder / "images", written):
        lines = [_line(region, names) for region in example.regions or ()]
        write_file(labels / f"{example.name}.txt", "".join(lines).encode())
        written.objects += len(lines)
    # JSON strings are YAML strings, whatever is in them.
    listed = "".join(f"  {n}: {json.dumps(name)}\n" for n, name in enumerate(names.all))
    listed = f"names:\n{listed}" if listed else "names: []\n"
    text = f"path: .\ntrain: images\nval: images\n{listed}"
    write_file(folder / "data.yaml", text.encode())
    written.names = names.all
    return written


def _line(region: Region, names: Names) -> str:
    x1, y1, x2, y2 = region.box
    numbers = ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)
    return f"{names.number(region.label)} {' '.join(f'{n:.6f}' for n in numbers)}\n"

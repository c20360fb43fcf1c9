"""COCO: one JSON with images, annotations and categories, and the pictures beside it.

    annotations.json
    images/ID.jpg

`bbox` is x, y, width, height in pixels, and numbers of categories begin with 1, as in the
original (cocodataset.org, "Data format"). Microsoft's own variant with boxes in 0..1 was read by
model customization only, which ended on 2025-01-10, and is not written.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from visionedge.datasets.truth import Example, names_in
from visionedge.datasets.written import Written, of_boxes, with_pictures, write_json


def write(examples: Sequence[Example], folder: Path) -> Written:
    """Write the examples that have boxes."""
    written = Written()
    boxed = of_boxes(examples, written)
    names = names_in(boxed)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (example, file) in enumerate(
        with_pictures(boxed, folder / "images", written), start=1
    ):
        images.append(
            {"id": number, "file_name": file, "width": example.width, "height": example.height}
        )
        for region in example.regions or ():
            x1, y1, x2, y2 = region.box
            width, height = (x2 - x1) * example.width, (y2 - y1) * example.height
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": names.number(region.label) + 1,
                    "bbox": [x1 * example.width, y1 * example.height, width, height],
                    "area": width * height,
                    "iscrowd": 0,
                }
            )
    categories = [{"id": i, "name": name} for i, name in enumerate(names.all, start=1)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    write_json(folder / "annotations.json", document)
    written.objects, written.names = len(annotations), names.all
    return written

"""Batches for Azure Custom Vision's `CreateImagesFromFiles`: up to 64 pictures and 20 tags a call.

    batches/0001.json    name, tags and regions of each picture of one call
    images/ID.jpg

Tags go by name here, because their ids belong to a project and are known only there: `verifier
upload` looks them up, makes those that are missing, and sends the batches. Boxes are left, top,
width and height in 0..1, as the service has them.

An empty scene is left out: a detection project has no way to learn from one. The service ends on
2028-09-25; nothing else in the project hangs on this format.

Source: Custom Vision Training 3.3, "Create Images From Files"; azure-rest-api-specs.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from visionedge.datasets.truth import Example, Names, names_in
from visionedge.datasets.written import Written, with_pictures, write_json

MOST_PICTURES: Final = 64
MOST_TAGS: Final = 20
MOST_REGIONS: Final = 300
"""Of one picture."""
BATCHES: Final = "batches"
IMAGES: Final = "images"


def write(examples: Sequence[Example], folder: Path) -> Written:
    """Write the examples that have something to teach."""
    written = Written()
    fitting = [each for each in examples if _fits(each, written)]
    names = names_in(fitting)
    entries = (
        _entry(example, file, names)
        for example, file in with_pictures(fitting, folder / IMAGES, written)
    )
    for number, batch in enumerate(batches(entries), start=1):
        write_json(folder / BATCHES / f"{number:04}.json", {"images": batch})
        written.objects += sum(len(entry.get("regions", [0])) for entry in batch)
    written.names = names.all
    return written


def batches(entries: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Entries in their order, as many a batch as one call takes."""
    batch: list[dict[str, Any]] = []
    tags: set[str] = set()
    for entry in entries:
        more = tags | set(entry["tags"])
        if batch and (len(batch) == MOST_PICTURES or len(more) > MOST_TAGS):
            yield batch
            batch, more = [], set(entry["tags"])
        batch.append(entry)
        tags = more
    if batch:
        yield batch


def _fits(example: Example, written: Written) -> bool:
    cause = ""
    if not example.labels:
        cause = "nothing is in it"
    elif len(example.labels) > MOST_TAGS or len(example.regions or ()) > MOST_REGIONS:
        cause = "more is in it than a call takes"
    if cause:
        written.left_out[cause] += 1
    return not cause


def _entry(example: Example, file: str, names: Names) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": file,
        "file": f"{IMAGES}/{file}",
        "tags": list(dict.fromkeys(names.name(label) for label in example.labels)),
    }
    if example.regions is not None:
        entry["regions"] = [
            {
                "tag": names.name(region.label),
                "left": region.box[0],
                "top": region.box[1],
                "width": region.box[2] - region.box[0],
                "height": region.box[3] - region.box[1],
            }
            for region in example.regions
        ]
    return entry

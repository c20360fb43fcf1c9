"""Which formats there are, and one way to write a collection in any of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from visionedge.datasets import coco, custom_vision, folders, yolo
from visionedge.datasets.collection import Collection
from visionedge.datasets.sample import Sample
from visionedge.datasets.truth import Example, example_of
from visionedge.datasets.written import Written

FORMATS: Final[Mapping[str, Callable[[Sequence[Example], Path], Written]]] = {
    "coco": coco.write,
    "yolo": yolo.write,
    "folders": folders.write,
    "custom-vision": custom_vision.write,
}


def export(collection: Collection, samples: Iterable[Sample], kind: str, folder: Path) -> Written:
    """Write samples of a collection to an empty folder.

    Args:
        collection: where their pictures are.
        samples: those that are wanted.
        kind: key of `FORMATS`.
        folder: made where it is not there.

    Raises:
        FileExistsError: something lies in the folder, which would become part of the set.
        OSError: it cannot be written, or the collection cannot be read.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} is not an empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    examples: list[Example] = []
    unanswered = 0
    for sample in sorted(samples, key=lambda each: (each.kept_at, each.id)):
        example = example_of(sample, partial(collection.jpeg, sample))
        if example is None:
            unanswered += 1
        else:
            examples.append(example)
    written = FORMATS[kind](examples, folder)
    if unanswered:
        written.left_out["the verdict says nothing to learn from"] += unanswered
    return written


def told(written: Written) -> str:
    """The sum, for people."""
    lines = [
        f"{written.pictures} pictures, {written.objects} objects, {len(written.names)} classes"
    ]
    lines += [f"{count} left out: {cause}" for cause, count in written.left_out.most_common()]
    return "\n".join(lines)

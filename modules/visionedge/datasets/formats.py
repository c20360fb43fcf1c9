"""Which formats there are, and one way to write a collection in any of them."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
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


def export(
    collection: Collection,
    kind: str,
    folder: Path,
    wanted: Callable[[Sample], bool] = lambda _: True,
) -> Written:
    """Write samples of a collection to an empty folder.

    Args:
        collection: where they are.
        kind: key of `FORMATS`.
        folder: made where it is not there.
        wanted: says which samples.

    Raises:
        FileExistsError: something lies in the folder, which would become part of the set.
        OSError: it cannot be written, or the collection cannot be read.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} is not an empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    examples: list[Example] = []
    unanswered = 0
    damaged: Counter[str] = Counter()
    samples = collection.samples(wanted, lambda index: damaged.update([index]))
    for sample in sorted(samples, key=lambda each: (each.kept_at, each.id)):
        example = example_of(sample, partial(collection.jpeg, sample))
        if example is None:
            unanswered += 1
        else:
            examples.append(example)
    written = FORMATS[kind](examples, folder)
    if unanswered:
        written.left_out["the verdict says nothing to learn from"] += unanswered
    for index, count in damaged.items():
        written.left_out[f"lines of {index} that cannot be read"] = count
    return written


def told(written: Written) -> str:
    """The sum, for people."""
    lines = [
        f"{written.pictures} pictures, {written.objects} objects, {len(written.names)} classes"
    ]
    lines += [f"{count} left out: {cause}" for cause, count in written.left_out.most_common()]
    return "\n".join(lines)

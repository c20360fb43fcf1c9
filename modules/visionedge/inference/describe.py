"""Read a model that brings no card, or half of one: each field, and where it is from.

What the card says wins. What it leaves open is taken, in this order, from the exporter's
metadata in the file, from files beside it, from names and shapes, from the model's answer
to drawn pictures, and last from the custom of its exporter. The origin of each field is
kept, so that a wrong guess is found by reading and not by measuring.

What this does not promise: that a guess is right. Two preprocessings can fit one model;
the golden frames of a bundle are the proof.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from visionedge.errors import ModelCardError
from visionedge.inference import probe
from visionedge.inference.card import TASKS, Document, HeadName, ModelCard, validated
from visionedge.inference.coco import COCO_80
from visionedge.inference.custom_vision import named_scores
from visionedge.inference.describe_head import tell_head
from visionedge.inference.describe_input import (
    RAW,
    UNIT,
    from_exporter,
    from_head,
    from_metadata,
)
from visionedge.inference.image import InputWriter
from visionedge.inference.metadata import (
    ULTRALYTICS_TASKS,
    image_size,
    names,
    neighbour_labels,
    neighbours,
)
from visionedge.inference.session import Session
from visionedge.inference.tensors import Outputs, squeezed

_CLEARLY: Final = 10
"""How many times more the answers must differ before a custom's pixel range is given up."""
_DULL: Final = 0.1
"""Nats; a model whose answers differ by more is not fed the wrong range."""
_SIZE: Final = ("width_px", "height_px")
_FREE_SIZE_PX: Final = {"detection": 640, "classification": 224}


@dataclass(frozen=True, slots=True)
class Description:
    """A whole card, and the origin of each field that the given card left open."""

    card: ModelCard
    origins: Mapping[str, str]


def describe(session: Session, given: Document, source: str) -> Description:
    """Complete a card by reading the model.

    Args:
        session: the loaded model.
        given: the card as far as it is written; it wins.
        source: the file of the card, or of the model, that errors shall name.

    Raises:
        ModelCardError: the card is wrong, or the model cannot be read without one.
        ModelRunError: the model failed on a drawn picture.
    """
    if len(session.signature.inputs) != 1:
        raise ModelCardError(
            f"{session.path} has {len(session.signature.inputs)} inputs: {session.signature}",
            hint="models with one input, the picture, are read",
        )
    reader = _Reader(session, given)
    reader.read_names()
    reader.read_size()
    head = reader.read_head()
    reader.read_input(head)
    reader.read_answers(head)
    return Description(validated(reader.document(), source), reader.origins)


class _Reader:
    """Collects fields; the first word on a field is the one that counts."""

    def __init__(self, session: Session, given: Document) -> None:
        self.origins: dict[str, str] = {}
        self._session = session
        self._given = given
        self._fields: dict[str, Any] = dict(_flat(given))
        self._metadata = {**session.metadata, **neighbours(session.path)}
        self._spec = session.signature.inputs[0]
        self._is_planar = self._spec.shape[-1] not in (1, 3)
        self._channels = self._spec.shape[-3 if self._is_planar else -1] or 3

    def document(self) -> Document:
        """All fields as a card."""
        document: Document = {}
        for path, value in self._fields.items():
            *parents, leaf = path.split(".")
            part = document
            for parent in parents:
                part = part.setdefault(parent, {})
            part[leaf] = value
        return document

    def read_names(self) -> None:
        """Name of the model, and its labels."""
        path = self._session.path
        self._say("name", path.parent.name if path.stem == "model" else path.stem, "file name")
        self._say("labels", names(self._metadata), "metadata names")
        self._say("labels", *neighbour_labels(path))
        self._say("labels", self._session.header.zipmap_labels, "ZipMap of the graph")
        for field, key in (
            ("version", "version"),
            ("licence", "license"),
            ("origin", "description"),
        ):
            self._say(field, self._metadata.get(key, "")[:256], f"metadata {key}")

    def read_size(self) -> None:
        """Width and height, where the model leaves them free."""
        height, width = self._spec.shape[-2:] if self._is_planar else self._spec.shape[-3:-1]
        if width is not None and height is not None:
            return
        if size := image_size(self._metadata):
            self._say_all("input", zip(_SIZE, size, strict=True), "metadata imgsz")
        task = (
            "detection" if len(self._session.signature.outputs[0].shape) == 3 else "classification"
        )
        side = _FREE_SIZE_PX[task]
        self._say_all("input", ((name, side) for name in _SIZE), f"custom for {task}")

    def read_head(self) -> HeadName:
        """The head; told by a run where nothing names it."""
        if head := self._fields.get("head"):
            if head not in TASKS:
                validated(self._given, str(self._session.path))
            return cast("HeadName", head)
        task = self._metadata.get("task", "")
        if "names" in self._metadata and task not in ULTRALYTICS_TASKS:
            raise ModelCardError(
                f"{self._session.path} is for task `{task}`",
                hint="models for detection and classification are read",
            )
        outputs, size = self._answers(1)
        told = tell_head(
            self._session.signature, outputs[0], size, len(self._fields.get("labels", ()))
        )
        self._say("head", told.head, told.why)
        for path, value in told.fields.items():
            self._say(path, value, told.why)
        return told.head

    def read_input(self, head: HeadName) -> None:
        """Preprocessing, as far as it can be told without asking the model."""
        said = [*from_metadata(self._metadata)]
        if head == "classifier":
            is_ultralytics = self._metadata.get("task") == "classify"
            producer = self._session.header.producer
            said += from_exporter(producer, is_ultralytics, self._is_planar, self._channels)
        said += from_head(head)
        for name, value, origin in said:
            self._say(f"input.{name}", value, origin)

    def read_answers(self, head: HeadName) -> None:
        """What only the answers to several pictures tell: pixel range, activation, labels."""
        if TASKS[head] == "classification":
            scores = self._scores()
            if not self._is_told("input.scale"):
                scores = self._better_range(scores)
            self._read_activation(scores)
        elif "labels" not in self._fields:
            self._read_coco(head)

    def _better_range(self, scores: NDArray[np.floating]) -> NDArray[np.floating]:
        is_raw = self._fields["input.scale"] == 1
        before, kept = probe.spread(scores), dict(self._fields)
        self._fields.update({f"input.{n}": v for n, v in (UNIT if is_raw else RAW).items()})
        others = self._scores()
        after = probe.spread(others)
        if before > _DULL or after < _CLEARLY * before or after < _DULL:
            self._fields = kept
            return scores
        why = f"probed: answers differ by {after:.2f} nats with it, by {before:.2f} with the custom"
        self.origins.update({f"input.{n}": why for n in RAW})
        if not is_raw and self._is_planar and self._channels == 3:
            self._replace("input.color", "bgr", "custom of models that take pixels of 0..255")
            return self._scores()
        return others

    def _read_activation(self, scores: NDArray[np.floating]) -> None:
        probable = probe.are_probabilities(scores)
        independent = probable and scores.shape[1] > 1 and not probe.sum_to_one(scores)
        activation = "none" if probable else "softmax" if scores.shape[1] > 1 else "sigmoid"
        why = f"probed: answers lie between {scores.min():.3g} and {scores.max():.3g}"
        if self._fields.get("output.activation") == "auto":
            del self._fields["output.activation"]
        self._say("output.activation", activation, why)
        if independent:
            self._say("output.multilabel", True, "probed: the classes do not sum to one")

    def _read_coco(self, head: HeadName) -> None:
        shapes = [spec.shape for spec in self._session.signature.outputs if len(spec.shape) == 3]
        columns = {"yolo_v8": (1, 4), "yolo_v5": (2, 5), "yolox": (2, 5)}
        if head in columns:
            axis, before = columns[head]
            if any(shape[axis] == before + len(COCO_80) for shape in shapes):
                self._say("labels", COCO_80, "assumed to be COCO's, because there are 80")

    def _scores(self) -> NDArray[np.floating]:
        """Answers of a classifier to all pictures, (pictures, classes)."""
        return np.array([_class_scores(outputs) for outputs in self._answers(None)[0]])

    def _answers(self, count: int | None) -> tuple[list[Outputs], tuple[int, int]]:
        """What the model says to the first `count` pictures, and the size of its input."""
        fields = {
            path.removeprefix("input."): value
            for path, value in self._fields.items()
            if path.startswith("input.")
        }
        if self._channels == 1:
            fields.setdefault("color", "gray")
        if self._spec.dtype == np.uint8:
            fields.setdefault("scale", 1.0)
        card = validated(
            {"head": "classifier", "name": "probe", "input": fields}, str(self._session.path)
        )
        writer = InputWriter(card.input, self._spec)
        answers = []
        for picture in probe.pictures()[:count]:
            writer.write(picture)
            answers.append(self._session.run({self._spec.name: writer.tensor}))
        return answers, writer.size

    def _is_told(self, path: str) -> bool:
        """True if the card or metadata say it, and not only a custom."""
        return (
            not self.origins.get(path, "").startswith("custom") if path in self._fields else False
        )

    def _say(self, path: str, value: Any, origin: str) -> None:  # noqa: ANN401 - any field
        if path not in self._fields and value not in ((), "", None):
            self._fields[path] = value
            self.origins[path] = origin

    def _say_all(self, part: str, values: Iterable[tuple[str, Any]], origin: str) -> None:
        for name, value in values:
            self._say(f"{part}.{name}", value, origin)

    def _replace(self, path: str, value: Any, origin: str) -> None:  # noqa: ANN401 - any field
        if not self._is_told(path):
            self._fields[path] = value
            self.origins[path] = origin


def _class_scores(outputs: Outputs) -> NDArray[np.floating]:
    """The numbers of a classifier's answer, one a class."""
    for output in outputs:
        if (by_name := named_scores(output)) is not None:
            return np.array([by_name[name] for name in sorted(by_name)])
    for output in outputs:
        scores = squeezed(np.asarray(output), 1)
        if scores is not None and scores.dtype.kind == "f":
            return scores
    return np.zeros(1)


def _flat(document: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value

"""Read a model that brings no card, or half of one: each field, and where it is from.

What the card says wins. What it leaves open is taken, in this order, from the exporter's
metadata in the file, from files beside it, from names and shapes, from the model's answer
to drawn pictures, and last from the convention of its exporter. The origin of each field
is kept, so that a wrong guess is found by reading and not by measuring.

What this does not promise: that a guess is right. Two preprocessings can fit one model;
the golden frames of a bundle are the proof.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from visionedge.errors import ModelCardError
from visionedge.inference import probe
from visionedge.inference.card import Document, InputCard, ModelCard, validated
from visionedge.inference.coco import COCO_80
from visionedge.inference.describe_head import tell_head
from visionedge.inference.describe_input import (
    RAW,
    UNIT,
    from_exporter,
    from_format,
    from_metadata,
)
from visionedge.inference.format import Answer, Format
from visionedge.inference.metadata import (
    ULTRALYTICS_TASKS,
    image_size,
    names,
    neighbour_labels,
    neighbours,
)
from visionedge.inference.registry import FORMATS
from visionedge.inference.session import Session
from visionedge.inference.size_inputs import size_inputs
from visionedge.inference.tensors import is_planar

_SIZE: Final = ("width_px", "height_px")
_FREE_SIZE_PX: Final = {"detection": 640, "classification": 224}
_CLASSIFIER_OUTPUTS: Final = 2
"""A classifier gives its scores, and some the winner beside them."""
_CLEARLY: Final = 10
"""How many times more the answers must differ before a convention's range is given up."""
_DULL: Final = 0.1
"""Nats; a model whose answers differ by more is not fed the wrong range."""


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
    if not session.signature.inputs:
        raise ModelCardError(
            f"{session.path} has no input: {session.signature}", hint="name a model of pictures"
        )
    # Refuses what takes more than a picture and its size.
    size_inputs(session.signature, (1, 1))
    # What is written must be right before anything is built on it.
    head = "classifier" if given.get("task") == "classification" else "yolo_v8"
    validated({"name": "unnamed", "head": head, **given}, source)
    reader = _Reader(session, given, source)
    reader.read_names()
    reader.read_input(reader.read_head())
    reader.read_no_labels()
    return Description(validated(reader.document(), source), reader.origins)


class _Reader:
    """Collects fields, by their dotted path; the first word on a field is the one that counts."""

    def __init__(self, session: Session, given: Document, source: str) -> None:
        self._source = source
        self.origins: dict[str, str] = {}
        self._session = session
        self._fields: dict[str, Any] = dict(_flat(given))
        self._conventional: set[str] = set()
        self._metadata = {**session.metadata, **neighbours(session.path)}
        self._probe = probe.Probe(session)
        self._spec = session.signature.picture
        layout = self._fields.get("input.layout")
        self._is_planar = is_planar(self._spec) is not False if layout is None else layout == "nchw"
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
        """Name of the model, its labels, and the size of its input where that is free."""
        path = self._session.path
        self._say("name", path.parent.name if path.stem == "model" else path.stem, "file name")
        self._say("labels", names(self._metadata), "metadata names")
        self._say("labels", *neighbour_labels(path))
        self._say("labels", self._session.header.zipmap_labels, "ZipMap of the graph")
        for name, key in (
            ("version", "version"),
            ("licence", "license"),
            ("origin", "description"),
        ):
            self._say(name, self._metadata.get(key, "")[:256], f"metadata {key}")
        height, width = self._spec.shape[-2:] if self._is_planar else self._spec.shape[-3:-1]
        if width is None or height is None:
            self._read_size((width, height))

    def _read_size(self, fixed: tuple[int | None, int | None]) -> None:
        known = [(name, side) for name, side in zip(_SIZE, fixed, strict=True) if side]
        self._say_all(known, "the model's input, whose other side is free")
        if size := image_size(self._metadata):
            self._say_all(zip(_SIZE, size, strict=True), "metadata imgsz")
        outputs = self._session.signature.outputs
        is_listing = len(outputs) > _CLASSIFIER_OUTPUTS or any(len(o.shape) > 2 for o in outputs)
        task = "detection" if is_listing else "classification"
        self._say_all(((side, _FREE_SIZE_PX[task]) for side in _SIZE), f"convention for {task}")

    def read_head(self) -> Format:
        """The head; told by a run where nothing names it."""
        if head := self._fields.get("head"):
            return FORMATS[head]
        task = self._metadata.get("task", "")
        if task and "names" in self._metadata and task not in ULTRALYTICS_TASKS:
            raise ModelCardError(
                f"{self._session.path} is for task `{task}`",
                hint="models for detection, segmentation (its boxes) and classification are read",
            )
        card = self._input_card()
        labels = len(self._fields.get("labels", ()))
        outputs = self._probe.outputs(card, count=1)[0]
        known, told = tell_head(
            Answer(self._session.signature, outputs, self._probe.size(card), labels)
        )
        self._say("head", known.head, told.why)
        for path, value in told.fields.items():
            self._say(path, value, told.why)
        return known

    def read_input(self, known: Format) -> None:
        """Preprocessing, and what goes with it: pixel range, activation, labels of COCO."""
        if self._spec.dtype == np.uint8:
            self._say("input.scale", 1.0, "type of the input, uint8")
        self._say_input(from_metadata(self._metadata))
        self._conventional = {f"input.{n}" for n in (*RAW, "color")} - self._fields.keys()
        if known.head == "classifier":
            is_ultralytics = self._metadata.get("task") == "classify"
            producer = self._session.header.producer
            self._say_input(
                from_exporter(producer, is_ultralytics, self._is_planar, self._channels)
            )
        self._say_input(from_format(known))
        self._say("input.interpolation", "linear", "convention of most exporters' scripts")
        self._say("labels", known.labels, f"convention of head {known.head}")
        if known.is_probed:
            self._read_answers()
        else:
            classes = known.classes(self._session.signature, self._fields.get("output.masks", 0))
            if classes == len(COCO_80):
                self._say("labels", COCO_80, "assumed to be COCO's, because there are 80")

    def read_no_labels(self) -> None:
        """Say of classes without names that nothing names them, so that it can be mended."""
        if "labels" not in self._fields:
            self.origins["labels"] = "assumed nameless, because nothing names them"

    def _say_input(self, said: Iterable[tuple[str, Any, str]]) -> None:
        # Scale, mean and deviation belong together: whoever says one of them says all.
        is_ranged = any(f"input.{name}" in self._fields for name in RAW)
        for name, value, origin in said:
            if not (is_ranged and name in RAW):
                self._say(f"input.{name}", value, origin)

    def _read_answers(self) -> None:
        """What only a classifier's answers to several pictures tell."""
        is_open = self._fields.get("output.activation", "auto") == "auto"
        # Where the card gives a mean or deviation, it has said all of the range.
        is_conventional = self._conventional >= {f"input.{name}" for name in RAW}
        if is_open or is_conventional:
            scores = self._scores()
            if is_conventional:
                scores = self._better_range(scores)
            if is_open:
                self._read_activation(scores)

    def _better_range(self, scores: probe.Scores) -> probe.Scores:
        """The convention's pixel range, or the other one if the answers speak clearly for it."""
        before, fields = probe.spread(scores), dict(self._fields)
        is_raw = self._fields["input.scale"] == 1
        self._fields.update({f"input.{n}": v for n, v in (UNIT if is_raw else RAW).items()})
        others = self._scores()
        after = probe.spread(others)
        if before > _DULL or after < max(_DULL, _CLEARLY * before):
            self._fields = fields
            return scores
        why = f"probed: answers differ by {after:.2f} nats, by {before:.2f} with the convention"
        self.origins.update({f"input.{name}": why for name in RAW})
        if is_raw or not self._is_planar or self._channels == 1:
            return others
        if "input.color" in self._conventional:
            self._fields["input.color"] = "bgr"
            self.origins["input.color"] = "convention of models that take pixels of 0..255"
        return self._scores()

    def _read_activation(self, scores: probe.Scores) -> None:
        is_single = scores.shape[1] == 1
        is_probable = probe.are_probabilities(scores)
        why = f"probed: answers lie between {scores.min():.3g} and {scores.max():.3g}"
        activation = "none" if is_probable else "sigmoid" if is_single else "softmax"
        self._fields.pop("output.activation", None)
        self._say("output.activation", activation, why)
        if is_probable and not is_single and not probe.sum_to_one(scores):
            self._say("output.multilabel", True, "probed: the classes do not sum to one")

    def _scores(self) -> probe.Scores:
        return self._probe.scores(self._input_card(), self._fields.get("output.name"))

    def _input_card(self) -> InputCard:
        """The input as far as it is told."""
        fields = dict(_below("input", self._fields))
        if self._channels == 1:
            fields.setdefault("color", "gray")
        if self._spec.dtype == np.uint8:
            fields.setdefault("scale", 1.0)
        card = {"name": "unnamed", "head": "classifier", "input": fields}
        return validated(card, self._source).input

    def _say(self, path: str, value: Any, origin: str) -> None:  # noqa: ANN401 - any field
        if path not in self._fields and value not in ((), "", None):
            self._fields[path] = value
            self.origins[path] = origin

    def _say_all(self, values: Iterable[tuple[str, Any]], origin: str) -> None:
        for name, value in values:
            self._say(f"input.{name}", value, origin)


def _flat(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of a card by its dotted path."""
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _below(part: str, fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for path, value in fields.items():
        if path.startswith(f"{part}."):
            yield path.removeprefix(f"{part}."), value

"""Where a model could be read in two ways: which was chosen, and how to choose the other.

A card settles a field, metadata nearly so. What was settled by a convention, a probe or an
assumption has a rival, and the rival is named here with the field that chooses it. The
list is the same for every model, because the doubtful fields are the same ones that field
reports name again and again: order of colours, range of the pixels, the fit, the
interpolation, and the head where two heads share a shape.

What this does not promise: that the rival is right. Golden frames decide that.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from visionedge.errors import ModelError
from visionedge.inference.boxes import Limits
from visionedge.inference.card import Document, ModelCard
from visionedge.inference.describe import describe
from visionedge.inference.registry import FORMATS, build_adapter
from visionedge.inference.session import Session

_UNSURE: Final = ("convention", "probed", "assumed")
"""Words of an origin that is a guess, however good."""
_RANGES: Final[Mapping[str, Document]] = {
    "0 to 255": {"scale": 1.0, "mean": [], "std": []},
    "0 to 1": {"scale": 1 / 255, "mean": [], "std": []},
}
_SHARED_SHAPES: Final[Mapping[str, str]] = {
    "yolo_v5": "yolo_v5_raw",
    "yolo_v5_raw": "yolo_v5",
    "yolox": "yolo_v5",
}
"""Heads of one shape, and which other one it could be."""
_LIMITS: Final = Limits(0.25, 0.45, 100)
_GRAY: Final = np.full((240, 320, 3), 114, np.uint8)


@dataclass(frozen=True, slots=True)
class Reading:
    """A field that could also be read otherwise.

    Attributes:
        field: of the card.
        chosen: its value, for people.
        why: where that is from.
        other: what it could be as well.
        how: fields of a card that choose the other.
    """

    field: str
    chosen: str
    why: str
    other: str
    how: Document

    @property
    def mend(self) -> str:
        """What to write to choose the other."""
        return json.dumps(self.how)


def other_readings(card: ModelCard, origins: Mapping[str, str]) -> list[Reading]:
    """The fields of a description that were guessed, each with its rival."""
    guessed = {
        field: origin
        for field, origin in origins.items()
        if any(word in origin for word in _UNSURE)
    }
    questions = (_heads, _colours, _ranges, _fits, _interpolations, _labels)
    return [reading for question in questions for reading in question(card, guessed)]


def heads_that_run(session: Session, given: Document) -> list[str]:
    """The heads that read the model's answer to a grey picture without an error.

    For a model that cannot be read without being told: what it could be told.
    """
    found: list[str] = []
    for head in FORMATS:
        try:
            card = describe(session, {**given, "head": head}, str(session.path)).card
            adapter = build_adapter(card, session.signature, _LIMITS)
            inputs, geometry = adapter.preprocess(_GRAY)
            adapter.decode(session.run(inputs), geometry)
        except ModelError:
            continue
        found.append(head)
    return found


def _heads(card: ModelCard, guessed: Mapping[str, str]) -> Iterator[Reading]:
    if "head" in guessed and (other := _SHARED_SHAPES.get(card.head)):
        yield Reading("head", card.head, guessed["head"], other, {"head": other})


def _colours(card: ModelCard, guessed: Mapping[str, str]) -> Iterator[Reading]:
    if "input.color" in guessed and card.input.color != "gray":
        other = "bgr" if card.input.color == "rgb" else "rgb"
        yield _reading("input.color", card.input.color, guessed, other, {"color": other})


def _ranges(card: ModelCard, guessed: Mapping[str, str]) -> Iterator[Reading]:
    if "input.scale" not in guessed:
        return
    is_raw = card.input.scale == 1
    normalised = ", less a mean" if card.input.mean else ""
    chosen = "0 to 255" if is_raw else f"0 to {255 * card.input.scale:g}{normalised}"
    other = "0 to 1" if is_raw else "0 to 255"
    yield _reading("input.scale", chosen, guessed, other, dict(_RANGES[other]))
    if card.input.color == "gray":
        signed = {"scale": 1 / 255, "mean": [0.5], "std": [0.5]}
        yield _reading("input.scale", chosen, guessed, "-1 to 1", signed)


def _fits(card: ModelCard, guessed: Mapping[str, str]) -> Iterator[Reading]:
    if "input.fit" in guessed:
        is_classifier = card.task == "classification"
        kept = "crop" if is_classifier else "letterbox"
        other = kept if card.input.fit == "stretch" else "stretch"
        yield _reading("input.fit", card.input.fit, guessed, other, {"fit": other})


def _interpolations(card: ModelCard, guessed: Mapping[str, str]) -> Iterator[Reading]:
    if "input.interpolation" in guessed:
        other = {"interpolation": "area"}
        chosen = card.input.interpolation
        yield _reading("input.interpolation", chosen, guessed, "area", other)


def _labels(card: ModelCard, guessed: Mapping[str, str]) -> Iterator[Reading]:
    if "labels" in guessed:
        yield Reading(
            "labels",
            f"{len(card.labels)} names" if card.labels else "none, so classes are numbers",
            guessed["labels"],
            "names of your own",
            {"labels": ["...", "..."]},
        )


def _reading(
    field: str, chosen: str, guessed: Mapping[str, str], other: str, fields: dict[str, Any]
) -> Reading:
    return Reading(field, chosen, guessed[field], other, {"input": fields})

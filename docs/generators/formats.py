"""docs/reference/formats.md: which exports are read, by which head, and how that is tested."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from docs.generators.markdown import page, table

from visionedge.inference.format import Format
from visionedge.inference.registry import FORMATS

_TESTS: Final = Path(__file__).parents[2] / "tests"
_INTRODUCTION = """
A model is read by the head that knows its outputs. The module tells the head by itself, in the
order of this page; `visionedge inspect MODEL` shows which it chose, why, and what else is
guessed. `head` in `model.json` always wins.

Every head is tested on graphs with the true exporter's signature, whose expected predictions
were computed by hand from the exporter's documented decode (`tests/golden/heads`). Where a
model that somebody else trained is at hand, its predictions are also held to those of an
independent decoder: each box to 0.001 of its confidence and to 0.98 of its overlap or a pixel,
classes to 0.01 of theirs, with suppression set as theirs was.
"""
_REAL = """
## Real models

Held to the predictions of independent decoders. A hint is what `inspect` suggests and a card
must say where nothing in the file does.
"""
_NO_REFERENCE = "deimv2_atto_int8"
"""Damaged by its quantisation, so only its two inputs and one object are tested."""


def formats_page() -> str:
    """The page."""
    rows = [row for known in FORMATS.values() for row in _rows(known)]
    return page(
        "Model formats",
        "modules/visionedge/inference/registry.py",
        _INTRODUCTION,
        "## Heads\n\n"
        + table(
            ("Head", "Task", "Written by", "Outputs"),
            [(f"`{f.head}`", f.task, f.exporters, f.layout) for f in FORMATS.values()],
        ),
        "## Exports\n\n" + table(("Export", "Head", "Tested on"), rows),
        _REAL + "\n" + table(("Model", "Head", "Card", "Without that card"), list(_real())),
    )


def _rows(known: Format) -> Iterator[tuple[str, str, str]]:
    """One export a row: who writes it, the head, and what it is tested on."""
    real = ", ".join(name for name, of in _models().items() if of["head"] == known.head)
    for golden in sorted((_TESTS / "golden" / "heads" / known.head).glob("*.json")):
        exporter = json.loads(golden.read_text(encoding="utf-8"))["exporter"]
        also = f"; the head also on {real}" if real else ""
        yield exporter, f"`{known.head}`", f"golden graph{also}"


def _real() -> Iterator[tuple[str, str, str, str]]:
    for name, known in _models().items():
        hint = f"`{json.dumps(known['hint'])}`" if "hint" in known else "none"
        without = known.get("without", "")
        if "hint" in known and not without:
            without = (
                "the same objects, nine in ten scores within 0.08: resized linearly, as is cheapest"
            )
        if name == _NO_REFERENCE:
            without = "no reference: its quantisation damaged it"
        yield f"`{name}`", f"`{known['head']}`", hint, without or "its reference"


def _models() -> dict[str, dict[str, Any]]:
    models: dict[str, dict[str, Any]] = json.loads(
        (_TESTS / "conformance" / "models.json").read_text(encoding="utf-8")
    )
    return models

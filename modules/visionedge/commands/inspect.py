"""`visionedge inspect`: what a model is, how it will be read, and why so.

"Same model, other scores" begins with a guess that nobody saw. So every field is shown
with where it is from, every guess with its rival and the words that choose it, and what
cannot be read at all with the heads that could read it. `--write` makes a card of what is
shown, and from then on nothing is guessed.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from visionedge.commands import footprint, options, speed
from visionedge.errors import EXIT_OK, ModelCardError, SettingsError
from visionedge.inference.bundle import MODEL_NAME, find_bundle
from visionedge.inference.cache import private_folder
from visionedge.inference.card import CARD_NAME, Document, ModelCard
from visionedge.inference.model import LoadedModel
from visionedge.inference.readings import Reading, heads_that_run, other_readings
from visionedge.inference.session import Session
from visionedge.inference.trial import load_tried
from visionedge.settings import merge

_MOST_LABELS: Final = 20
_MOST_LETTERS: Final = 100


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "inspect",
        help="show what a model is and how it will be read",
        description="Show what a model is, how it will be read and where each field is from, "
        "its labels, and its speed and memory on this machine.",
    )
    parser.add_argument("model", type=Path, help="bundle folder, ONNX file or export zip")
    options.add_hints(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--write", action="store_true", help="write the card beside the model, as shown"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code.

    Raises:
        ModelError: the model cannot be used; where only its head is in doubt, the heads
            that could read it are named.
        SettingsError: the card cannot be written.
    """
    hints = options.hints(args)
    try:
        model = load_tried(args.model, options.DEFAULTS, private_folder(), hints)
    except ModelCardError as error:
        raise _with_suggestion(error, args.model, hints) from None
    document = as_document(model, hints)
    document["speed"] = asdict(speed.measure(model, quiet=args.json))
    document["memory"] = asdict(footprint.measure(model))
    if args.json:
        print(json.dumps(document, indent=2))
    else:
        print("\n".join(_for_people(document)))
    if args.write:
        path = _write(args.model, model)
        if not args.json:
            print(f"\nwritten: {path}")
    return EXIT_OK


def as_document(model: LoadedModel, hints: Document) -> Document:
    """What is known of a model, as JSON.

    Args:
        model: as loaded.
        hints: what the command line said of it.
    """
    header, session = model.session.header, model.session
    card = model.bundle.card.name if model.bundle.card else ""
    said = {path: card for path, _ in _flat(model.bundle.document())}
    said |= {path: "option" for path, _ in _flat(hints)}
    fields = {
        path: {"value": value, "from": _origin(path, said, model)}
        for path, value in _flat(model.card.model_dump(mode="json"))
        if path not in ("card", "labels")
    }
    readings = [asdict(each) for each in other_readings(model.card, model.origins)]
    return {
        "model": str(model.bundle.model),
        "size_bytes": model.bundle.model.stat().st_size,
        "producer": header.producer,
        "opset": header.opset,
        "inputs": [str(spec) for spec in session.signature.inputs],
        "outputs": [str(spec) for spec in session.signature.outputs],
        "provider": session.providers[0],
        "metadata": dict(session.metadata),
        "rewritten": session.rewritten,
        "golden": model.bundle.golden is not None,
        "fields": fields,
        "labels": {
            "names": list(model.card.labels),
            "from": _origin("labels", said, model) if model.card.labels else "nowhere",
        },
        "other_readings": readings,
    }


def _origin(path: str, said: Mapping[str, str], model: LoadedModel) -> str:
    told = {"sha256": "the file", "task": "the head"}
    return said.get(path) or model.origins.get(path) or told.get(path, "default")


def _with_suggestion(error: ModelCardError, path: Path, hints: Document) -> ModelCardError:
    """The error, with the heads that read the model where it does not tell its own."""
    bundle = find_bundle(path)
    given = merge(bundle.document(), hints)
    if "head" in given:
        return error
    session = Session(bundle.model, options.DEFAULTS.providers)
    heads = heads_that_run(session, given)
    if not heads:
        return error
    return ModelCardError(
        Exception.__str__(error),
        hint=f"these heads read it without an error: {', '.join(heads)}; try them with `visionedge "
        f"predict --model {path} --head {heads[0]}` and keep the one whose boxes sit right",
    )


def _write(named: Path, model: LoadedModel) -> Path:
    if named.is_file() and named.suffix != ".onnx":
        raise SettingsError(
            f"--write: {named} is no place for a card", hint="use `visionedge import` on it"
        )
    file = model.bundle.model
    whole = named.is_dir() or file.name == MODEL_NAME
    path = file.with_name(CARD_NAME) if whole else file.with_suffix(".json")
    try:
        with path.open("x", encoding="utf-8") as target:
            target.write(card_text(model.card))
    except FileExistsError:
        raise SettingsError(
            f"--write: {path} is there already", hint="move it away, or edit it"
        ) from None
    except OSError as error:
        raise SettingsError(
            f"--write: cannot write {path}: {error.strerror}", hint="check its folder"
        ) from None
    return path


def card_text(card: ModelCard) -> str:
    """A card as its file holds it."""
    return json.dumps(card.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"


def _for_people(document: Document) -> Iterator[str]:
    size = document["size_bytes"] / 1e6
    yield f"{document['model']}  {size:.1f} MB"
    yield f"  written by  {document['producer'] or 'unknown'}, operator set {document['opset']}"
    yield f"  takes       {'; '.join(document['inputs'])}"
    yield f"  gives       {'; '.join(document['outputs'])}"
    if document["rewritten"]:
        yield f"  rewritten   {document['rewritten']}: faster, and the same answers as the file's"
    for key, value in document["metadata"].items():
        yield f"  metadata    {key} = {_short(value)}"
    yield ""
    yield "How it is read, and from where:"
    width = max(len(path) for path in document["fields"])
    for path, field in document["fields"].items():
        is_shown = path.startswith("input.") and field["value"] not in (None, [])
        if field["from"] != "default" or is_shown:
            value = _short(json.dumps(field["value"], ensure_ascii=False))
            yield f"  {path:<{width}}  {value:<24}  {field['from']}"
    yield ""
    names = document["labels"]["names"]
    more = f" and {len(names) - _MOST_LABELS} more" if len(names) > _MOST_LABELS else ""
    yield f"Labels: {len(names)} from {document['labels']['from']}"
    if names:
        yield f"  {', '.join(names[:_MOST_LABELS])}{more}"
    if document["other_readings"]:
        yield "\nGuessed; golden frames are the proof (`visionedge import --golden`):"
    for fields in document["other_readings"]:
        reading = Reading(**fields)
        yield f"  {reading.field} is {reading.chosen} ({reading.why});"
        yield f"    for {reading.other} put {reading.mend} into the card"
    pace = speed.Speed(**document["speed"])
    width_px, height_px = speed.FRAME_SIZE
    yield (
        f"\nSpeed here: {pace.total_ms:.1f} ms a frame of {width_px}x{height_px} "
        f"(preprocess {pace.preprocess_ms:.1f}, run {pace.run_ms:.1f}, decode "
        f"{pace.decode_ms:.1f}; median of {pace.runs} on {document['provider']}, one thread)"
    )
    each = footprint.Footprint(**document["memory"])
    if each.kept_mb:
        yield (
            f"Memory of a run: {each.kept_mb:.0f} MB beside the weights, "
            f"{each.released_early_mb:.0f} with release_early in its card"
        )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MOST_LETTERS else f"{line[: _MOST_LETTERS - 3]}..."


def _flat(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value

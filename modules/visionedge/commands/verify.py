"""`visionedge verify`: is this bundle here what it was at home?

Three questions, each answered by name: is the file the one of the card (SHA-256), are the
labels those of the model, and does it say here what it said there (golden frames). The
module asks the same when it loads a bundle, and stops at the first no; this command goes
on to the last, because whoever runs it wants the whole list.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from visionedge.commands import options
from visionedge.errors import EXIT_OK, ModelCardError, ModelError
from visionedge.inference.bundle import Bundle, checked_sha256, find_bundle
from visionedge.inference.card import LABELS_NAME, read_labels
from visionedge.inference.golden import verify_golden
from visionedge.inference.model import load_model
from visionedge.inference.onnx_file import read_onnx


@dataclass(frozen=True, slots=True)
class Check:
    """One question and its answer; `fault` is empty where all is well, and `note` limits it."""

    name: str
    fault: str = ""
    note: str = ""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "verify",
        help="check that a bundle says here what it said at home",
        description="Check a bundle's SHA-256, labels and golden frames. Exits with 3 if "
        "anything differs, after naming all that does.",
    )
    parser.add_argument("bundle", type=Path, help="bundle folder, or zip of one")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code.

    Raises:
        ModelError: there is no model, or its card cannot be read.
    """
    bundle = find_bundle(args.bundle)
    checks = [*_checks(args.bundle, bundle)]
    faults = [check for check in checks if check.fault]
    if args.json:
        answer = {"bundle": str(args.bundle), "ok": not faults, "checks": [*map(asdict, checks)]}
        print(json.dumps(answer))
    else:
        for check in checks:
            verdict, told = "FAIL" if check.fault else "ok", check.fault or check.note
            print(f"{verdict:<5} {check.name:<8} {told}".rstrip())
    return ModelError.exit_code if faults else EXIT_OK


def _checks(named: Path, bundle: Bundle) -> Iterator[Check]:
    document = bundle.document()
    yield Check("card", "" if bundle.card else "there is none, so every reading is a guess")
    yield Check("sha256", _sha256(bundle, document.get("sha256")), _not_hashed(bundle))
    yield Check("labels", _labels(bundle, document.get("labels")))
    try:
        # Its SHA-256 is answered for already.
        model = load_model(named, options.DEFAULTS, {"sha256": ""})
        faults = verify_golden(model, partial(options.with_progress, unit="golden frame"))
    except ModelError as error:
        yield Check("model", str(error))
        return
    yield Check("model")
    if bundle.golden is None:
        faults = ["there are no golden frames, so nothing is proven"]
    for fault in faults or [""]:
        yield Check("golden", fault)


def _sha256(bundle: Bundle, wanted: object) -> str:
    if not wanted:
        return "the card names none"
    try:
        checked_sha256(bundle.model, wanted)
    except ModelCardError as error:
        return str(error)
    return ""


def _not_hashed(bundle: Bundle) -> str:
    """What the SHA-256 says nothing of."""
    try:
        beside = read_onnx(bundle.model).external
    except ModelError:
        # Said by whoever loads it.
        return ""
    return f"not of {', '.join(beside)}: only golden frames hold that" if beside else ""


def _labels(bundle: Bundle, listed: object) -> str:
    """How `labels.txt` and the card differ, where both are there."""
    path = bundle.model.with_name(LABELS_NAME)
    if not path.is_file() or not isinstance(listed, list | tuple):
        return ""
    lines = read_labels(path)
    if len(lines) != len(listed):
        return f"{LABELS_NAME} has {len(lines)}, the card {len(listed)}"
    differing = [f"{n} is `{a}`, in the card `{b}`"
                 for n, (a, b) in enumerate(zip(lines, listed, strict=True)) if a != b]  # fmt: skip
    return f"{LABELS_NAME}: {'; '.join(differing)}" if differing else ""

"""`visionedge predict`: what a model sees in pictures, for people and for programs.

Runs pictures through exactly what the module runs frames through, so that a number seen
here is the number that decides there. With `--json` stdout holds one object a picture and
nothing else; everything for people goes to stderr.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from visionedge.commands import options, places
from visionedge.commands.draw import draw, saved
from visionedge.commands.footage import VIDEOS, shots, shots_in, why_unreadable
from visionedge.entities import Image
from visionedge.errors import EXIT_OK, CameraError, SettingsError
from visionedge.evaluation.pictures import SUFFIXES
from visionedge.inference.card import Document
from visionedge.inference.model import load_model
from visionedge.inference.prediction_json import as_document
from visionedge.settings import ModelSettings

_DEFAULTS: Final = options.DEFAULTS
_SUFFIX: Final = ".png"
"""Of drawings."""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "predict",
        help="show what a model sees in pictures and videos",
        description="Run a model over pictures and videos. Exits with 4 if a file could not be "
        "read, after all others.",
    )
    parser.add_argument(
        "--model", type=Path, required=True, metavar="PATH", help="bundle folder or ONNX file"
    )
    parser.add_argument(
        "images",
        type=Path,
        nargs="+",
        metavar="FILE_OR_FOLDER",
        help="pictures or videos, or folders of them",
    )
    parser.add_argument(
        "--every", type=int, default=1, metavar="N", help="of a video, each Nth frame (default: 1)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a picture")
    options.add_hints(parser)
    options.add_view(parser)
    options.add_cascade(parser)
    parser.add_argument(
        "--floor",
        type=float,
        default=_DEFAULTS.floor,
        metavar="X",
        help=f"least confidence of a box (default: {_DEFAULTS.floor})",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write pictures with the boxes drawn in"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code.

    Raises:
        ModelError: the model cannot be used, or failed on a picture.
        SettingsError: an option is wrong.
    """
    settings = _settings(args)
    pictures = options.pictures(args.images, (*SUFFIXES, *VIDEOS), missing_ok=True)
    drawings = _Drawings(args.out, pictures) if args.out else None
    view = options.view(args)
    model = load_model(args.model, settings, options.hints(args))
    runner = options.cascade(args, model).runner()
    exit_code = EXIT_OK
    total = sum(shots_in(path, args.every) for path in pictures)
    every = (shot for path in pictures for shot in shots(path, args.every))
    for shot in options.counted(every, total, "picture", quiet=sys.stdout.isatty()):
        if shot.image is None:
            sys.stderr.write(
                f"visionedge: {shot.name} cannot be read: {why_unreadable(shot.path)}\n"
            )
            exit_code = CameraError.exit_code
            continue
        prediction = runner.infer(shot.image, view)
        document = as_document(shot.name, prediction)
        print(json.dumps(document) if args.json else _for_people(document), flush=True)
        if drawings is not None:
            drawings.write(shot.stem, draw(shot.image, prediction))
    return exit_code


def _settings(args: argparse.Namespace) -> ModelSettings:
    options.share(args.floor, "--floor")
    if args.every < 1:
        raise SettingsError(f"--every {args.every} is no step", hint="give 1 or more")
    return _DEFAULTS.model_copy(update={"path": str(args.model), "floor": args.floor})


def _for_people(document: Document) -> str:
    found = document.get("detections") or document.get("classes") or []
    if not found:
        return f"{document['image']}\n  nothing"
    width = max(len(each["label"]) for each in found)
    lines = [document["image"]]
    for each in found:
        box = "".join(f"{edge:9.1f}" for edge in each.get("box_xyxy", ()))
        lines.append(f"  {each['label']:<{width}}  {each['confidence']:.3f}{box}")
    return "\n".join(lines)


class _Drawings:
    """Writes annotated pictures into a folder, each under a name of its own.

    Args:
        folder: of `--out`.
        pictures: that are looked at; none of them is drawn over.

    Raises:
        SettingsError: it cannot be written, or drawings would lie on top of pictures in it.
    """

    def __init__(self, folder: Path, pictures: Sequence[Path]) -> None:
        self._folder = places.folder(folder, "--out")
        self._taken: set[str] = set()
        for path in pictures:
            if path.suffix.lower() == _SUFFIX and path.parent.resolve() == folder.resolve():
                raise SettingsError(
                    f"--out: {path} is to be looked at, and would be drawn over",
                    hint="name another folder",
                )

    def write(self, stem: str, drawing: Image) -> None:
        # OpenCV crashes on a name that is no UTF-8.
        stem = "".join(each if each.isprintable() else "_" for each in stem)
        name, number = stem, 1
        while name in self._taken:
            number += 1
            name = f"{stem}-{number}"
        self._taken.add(name)
        saved(drawing, self._folder / f"{name}{_SUFFIX}", "--out")

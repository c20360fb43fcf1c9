"""`visionedge predict`: what a model sees in pictures, for people and for programs.

Runs pictures through exactly what the module runs frames through, so that a number seen
here is the number that decides there. With `--json` stdout holds one object a picture and
nothing else; everything for people goes to stderr.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import cv2

from visionedge.commands.draw import draw
from visionedge.entities import Image, Prediction
from visionedge.errors import EXIT_OK, CameraError, ModelRunError, SettingsError
from visionedge.inference.card import Document, read_document
from visionedge.inference.image import read_image
from visionedge.inference.model import Runner, load_model
from visionedge.inference.prediction_json import as_document
from visionedge.settings import ModelSettings

_SUFFIXES: Final = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_WORTH_A_BAR: Final = 5
_DEFAULTS: Final = ModelSettings(path=".")


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "predict",
        help="show what a model sees in pictures",
        description="Run a model over pictures. Exits with 4 if a picture could not be read, "
        "after all others.",
    )
    parser.add_argument(
        "--model", type=Path, required=True, metavar="PATH", help="bundle folder or ONNX file"
    )
    parser.add_argument(
        "images",
        type=Path,
        nargs="+",
        metavar="IMAGE_OR_FOLDER",
        help="pictures, or folders of them",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a picture")
    parser.add_argument(
        "--card", type=Path, metavar="FILE", help="a card, or some fields of one, that wins"
    )
    parser.add_argument(
        "--color", choices=("rgb", "bgr", "gray"), help="order of the model's channels"
    )
    parser.add_argument(
        "--scale", type=float, metavar="X", help="what pixels of 0..255 are multiplied by"
    )
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
        ModelError: the model cannot be used.
        SettingsError: an option is wrong.
    """
    if not 0 <= args.floor <= 1:
        raise SettingsError(f"--floor {args.floor} is no confidence", hint="give 0 to 1")
    settings = _DEFAULTS.model_copy(update={"path": str(args.model), "floor": args.floor})
    runner = load_model(args.model, settings, _hints(args)).runner()
    names = _Names(args.out) if args.out else None
    exit_code = EXIT_OK
    for path in _with_progress([*_pictures(args.images)]):
        image = read_image(path)
        if image is None or (prediction := _predict(runner, image, path)) is None:
            if image is None:
                _complain(f"{path} is no picture that can be read")
            exit_code = CameraError.exit_code
            continue
        print(_line(path, prediction, args.json), flush=True)
        if names is not None:
            names.write(path, draw(image, prediction))
    return exit_code

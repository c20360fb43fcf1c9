"""`visionedge import`: an export becomes a bundle that proves itself.

What was told or guessed of the export is written into a card, the model gets its SHA-256,
and its answers to some pictures become the golden frames. So a reading is decided once, by
a person who looks, and every device afterwards either agrees or says that it does not. The
bundle is made beside its place, verified there, and moved into it whole.

What this does not promise: that the reading is right. Look at the pictures with `predict`
first, or give it the scores of the portal as `golden/expected.json`.
"""

import argparse
import json
import shutil
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from visionedge.commands import options, places
from visionedge.commands.inspect import card_text
from visionedge.errors import EXIT_OK, ModelLoadError, SettingsError
from visionedge.inference import export_manifest
from visionedge.inference.boxes import Limits
from visionedge.inference.bundle import GOLDEN_NAME, MODEL_NAME
from visionedge.inference.cache import private_folder
from visionedge.inference.card import CARD_NAME, LABELS_NAME
from visionedge.inference.card_golden import EXPECTED_NAME, Golden
from visionedge.inference.golden import verify_golden
from visionedge.inference.image import read_image
from visionedge.inference.model import LoadedModel, load_model
from visionedge.inference.prediction_json import as_document
from visionedge.inference.trial import load_tried
from visionedge.runtime.file_names import is_text

_MOST_BOXES: Final = 1000
_MOST_FRAMES: Final = 256


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "import",
        help="make a bundle of an export",
        description="Make a bundle of an export: model, card, labels, SHA-256 and golden frames.",
    )
    parser.add_argument("export", type=Path, help="zip, folder or ONNX file")
    parser.add_argument(
        "--to", type=Path, required=True, metavar="DIR", help="the new bundle, as models/NAME"
    )
    parser.add_argument(
        "--golden", type=Path, metavar="DIR", help="pictures that become the golden frames"
    )
    parser.add_argument("--licence", default="", help="licence of the weights")
    parser.add_argument("--origin", default="", help="who made it, from what, and where")
    options.add_hints(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code.

    Raises:
        ModelError: the export cannot be used, or not without a hint.
        SettingsError: the place is taken or cannot be written, or a picture cannot be read.
    """
    pictures = options.pictures([args.golden]) if args.golden else []
    if len(pictures) > _MOST_FRAMES:
        raise SettingsError(
            f"{len(pictures)} pictures are too many", hint=f"a bundle has at most {_MOST_FRAMES}"
        )
    for picture in pictures:
        if not is_text(picture):
            raise SettingsError(f"the name of {picture} is no UTF-8", hint="rename the file")
    places.free(args.to, "--to")
    model = load_tried(args.export, options.DEFAULTS, private_folder(), options.hints(args))
    make_bundle(args.to, model, pictures, licence=args.licence, origin=args.origin)
    print(f"{args.to}: head {model.card.head}, {len(model.card.labels)} labels, "
          f"{len(pictures)} golden frames")  # fmt: skip
    if not pictures:
        print("without golden frames nothing proves it on a device: import it again with --golden")
    return EXIT_OK


def make_bundle(
    to: Path,
    model: LoadedModel,
    pictures: Sequence[Path],
    *,
    licence: str = "",
    origin: str = "",
) -> None:
    """Make a bundle of a loaded model beside its place, verify it, and move it there whole.

    Args:
        to: the new folder; must not exist.
        model: whose file and card it gets.
        pictures: that become its golden frames.
        licence: of the weights, instead of what the card says.
        origin: likewise.

    Raises:
        ModelError: it does not say the same twice.
        SettingsError: it cannot be written, or a picture cannot be read.
    """
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=to.parent, prefix=".import-") as beside:
            made = Path(beside, to.name)
            _make(made, model, licence, origin)
            _golden(made, pictures)
            made.rename(to)
    except OSError as error:
        raise places.unwritable(to, "--to", error.strerror, "name a folder of yours") from None


def _make(folder: Path, model: LoadedModel, licence: str, origin: str) -> None:
    folder.mkdir()
    source = model.bundle.model
    shutil.copyfile(source, folder / MODEL_NAME)
    for name in model.session.header.external:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source.parent / name, folder / name)
    card = model.card.model_copy(
        update={
            "name": folder.name,
            "licence": licence or model.card.licence,
            "origin": origin or model.card.origin or export_manifest.origin(source.parent),
        }
    )
    (folder / CARD_NAME).write_text(card_text(card), encoding="utf-8")
    if card.labels:
        (folder / LABELS_NAME).write_text("\n".join(card.labels) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(_readme(folder.name, model, card.origin, card.licence))


def _readme(name: str, model: LoadedModel, origin: str, licence: str) -> str:
    guessed = [f"- `{field}`: {why}" for field, why in model.origins.items()]
    lines = [
        f"# {name}",
        "",
        f"- Origin: {origin or 'not stated by the export; write it here.'}",
        f"- Licence of the weights: {licence or 'not stated by the export; write it here.'}",
        f"- Written by {model.session.header.producer or 'an unknown program'}, "
        f"operator set {model.session.header.opset}",
        f"- SHA-256 of {MODEL_NAME}: `{model.card.sha256}`",
        "",
        "Fields of the card that were told by the export or guessed when it was imported:",
        "",
        *(guessed or ["- none; all were given"]),
    ]
    return "\n".join(lines) + "\n"


def _golden(folder: Path, pictures: Sequence[Path]) -> None:
    """Let the bundle say what it sees in the pictures, and hold it to that."""
    if not pictures:
        load_model(folder, options.DEFAULTS)
        return
    golden = folder / GOLDEN_NAME
    golden.mkdir()
    defaults = Golden.model_construct(frames=())
    limits = Limits(options.DEFAULTS.floor, options.DEFAULTS.nms_iou, _MOST_BOXES)
    runner = load_model(folder, options.DEFAULTS).runner(limits)
    frames: list[dict[str, Any]] = []
    for picture in options.with_progress(pictures, "picture"):
        image = read_image(picture)
        if image is None:
            raise SettingsError(f"{picture} is no picture that can be read", hint="leave it out")
        name = _free_name(golden, picture.name)
        shutil.copyfile(picture, golden / name)
        frames.append(as_document(name, runner.infer(image)))
    document = {
        "golden": defaults.golden,
        "floor": limits.floor,
        "nms_iou": limits.nms_iou,
        "tolerance": defaults.tolerance.model_dump(),
        "frames": frames,
    }
    (golden / EXPECTED_NAME).write_text(json.dumps(document, indent=1), encoding="utf-8")
    watched = partial(options.with_progress, unit="golden frame")
    if faults := verify_golden(load_model(folder, options.DEFAULTS), watched):
        raise ModelLoadError(
            f"the model does not say the same twice: {faults[0]}",
            hint="its graph holds something random, such as dropout: export it for inference",
        )


def _free_name(folder: Path, name: str) -> str:
    stem, suffix, number = Path(name).stem, Path(name).suffix, 1
    while (folder / name).exists():
        number += 1
        name = f"{stem}-{number}{suffix}"
    return name

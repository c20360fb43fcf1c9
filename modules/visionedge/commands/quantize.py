"""`visionedge quantize`: INT8 for a model that is too slow, refused where it costs too much.

How much INT8 costs is decided by how the ranges of the tensors are told and by what is left
in floating point, and no choice is right for every network: min-max serves plain networks of
ReLU, and leaves a depthwise one with SiLU (YOLOX-nano) blind, whose rare peaks take most of
the 256 steps. So several recipes are tried (`quantize_graph`), each is measured on the same
pictures for accuracy and speed, all are shown side by side with the original, and the
quickest of those that lose no more than the stated amount is taken. If there is none,
nothing is written.
"""

import argparse
import copy
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from visionedge.commands import options, places, speed
from visionedge.commands.evaluate import judge
from visionedge.commands.import_ import make_bundle
from visionedge.commands.quantize_graph import RECIPES, Quantizer, Recipe
from visionedge.entities import Detections
from visionedge.errors import EXIT_OK, ModelLoadError, ModelRunError, SettingsError
from visionedge.evaluation.dataset import Dataset, Picture
from visionedge.evaluation.formats import read_dataset
from visionedge.inference.bundle import MODEL_NAME
from visionedge.inference.image import read_image
from visionedge.inference.model import LoadedModel, load_model

_MOST_PICTURES: Final = 200
_FEW_PICTURES: Final = 20
_GOLDEN: Final = 8
_SURE: Final = 0.5
_TIMES_THE_MODEL: Final = 6
"""What all recipes take among the temporary files, as was measured."""
_ABOUT: Final = 1.1
"""Times the quickest: what is closer than that, a busy machine cannot tell apart."""


@dataclass(frozen=True, slots=True)
class Side:
    """One row of the comparison."""

    accuracy: float
    run_ms: float
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Made:
    """What one recipe gave."""

    recipe: Recipe
    model: LoadedModel
    side: Side

    def loss(self, before: Side) -> float:
        """Of mAP50 or accuracy."""
        return before.accuracy - self.side.accuracy


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "quantize",
        help="make an INT8 bundle of a model, if it loses little",
        description="Quantise a model to INT8 and compare accuracy and speed. Exits with 3 and "
        "writes nothing if it loses more than --max-loss.",
    )
    parser.add_argument("model", type=Path, help="bundle folder, ONNX file or export zip")
    parser.add_argument(
        "--calibration",
        type=Path,
        required=True,
        metavar="DIR",
        help="pictures of the line, a hundred or so; they need no labels",
    )
    parser.add_argument(
        "--dataset",
        type=Path,
        metavar="PATH",
        help="labelled pictures to measure on (default: agreement with the original on those of "
        "--calibration)",
    )
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="the new bundle")
    parser.add_argument(
        "--max-loss",
        type=float,
        default=0.01,
        metavar="X",
        help="of mAP50 or accuracy, 0..1 (default: 0.01)",
    )
    options.add_same(parser)
    options.add_hints(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code.

    Raises:
        ModelError: the model cannot be used or quantised, or loses too much.
        SettingsError: an option is wrong, or the extra `tools` is not installed.
    """
    options.share(args.max_loss, "--max-loss")
    same = options.same(args)
    if same and args.dataset is None:
        raise SettingsError("--map goes with a data set", hint="name it with --dataset")
    places.free(args.to, "--to")
    pictures = options.pictures([args.calibration])[:_MOST_PICTURES]
    if len(pictures) < _FEW_PICTURES:
        print(f"{len(pictures)} pictures to calibrate with are few: a hundred give truer ranges")
    before = load_model(args.model, options.DEFAULTS, options.hints(args))
    dataset = _truth(args.dataset, before, same) if args.dataset else _own_words(before, pictures)
    options.note(dataset.without_picture)
    with tempfile.TemporaryDirectory(prefix="visionedge-quantize-") as folder:
        places.room(Path(folder).parent, _size_bytes(before) * _TIMES_THE_MODEL)
        made, original = _tried(before, pictures, dataset, Path(folder))
        print("\n".join(_table(before, args.dataset is not None, original, made)))
        best = _best(original, made, args.max_loss)
        make_bundle(
            args.to,
            best.model,
            _golden_pictures(before, pictures),
            origin=f"INT8 ({best.recipe.name}) of {before.card.name} {before.card.sha256[:12]}. "
            f"{before.card.origin}",
        )
    print(f"taken: {best.recipe.name}, which loses {best.loss(original):.3f}")
    if best.side.run_ms >= original.run_ms:
        print("it is not faster on this machine; measure on the device before you deploy it")
    print(f"written: {args.to}")
    return EXIT_OK


def _size_bytes(model: LoadedModel) -> int:
    file = model.bundle.model
    parts = [file, *(file.parent / name for name in model.session.header.external)]
    return sum(part.stat().st_size for part in parts)


def _tried(
    model: LoadedModel, pictures: Sequence[Path], dataset: Dataset, folder: Path
) -> tuple[list[Made], Side]:
    """What becomes of a model by each recipe, and the original, on the same pictures.

    Raises:
        ModelLoadError: no recipe gives a model that loads.
    """
    quantizer = Quantizer(model, pictures, folder, _with_bar)
    card = model.card.model_dump(mode="json", exclude={"sha256"})
    made: list[tuple[Recipe, LoadedModel]] = []
    fault: ModelLoadError | None = None
    recipes = [recipe for recipe in RECIPES if quantizer.is_worth(recipe)]
    for number, recipe in enumerate(options.with_progress(recipes, "recipe")):
        path = folder / str(number) / MODEL_NAME
        path.parent.mkdir()
        try:
            quantizer.make(recipe, path)
            after = load_model(path, options.DEFAULTS, card)
        except ModelLoadError as error:
            print(f"{recipe.name}: {error}")
            fault = error
        else:
            made.append((recipe, after))
    if fault and not made:
        raise fault
    models = [model, *(after for _, after in made)]
    paces = speed.compare(models)
    original, *sides = [
        Side(_accuracy(each, dataset), run_ms, each.bundle.model.stat().st_size)
        for each, run_ms in zip(options.with_progress(models, "model"), paces, strict=True)
    ]
    return [
        Made(recipe, after, side) for (recipe, after), side in zip(made, sides, strict=True)
    ], original


def _with_bar(pictures: Sequence[Path], method: str) -> Iterator[Path]:
    yield from options.with_progress(pictures, f"picture for {method}")


def _best(original: Side, made: Sequence[Made], max_loss: float) -> Made:
    """The quickest that loses little enough; of those about as quick, the most accurate.

    Raises:
        ModelRunError: all lose too much.
    """
    good = [each for each in made if each.loss(original) <= max_loss]
    if not good:
        least = min(made, key=lambda each: each.loss(original))
        raise ModelRunError(
            f"INT8 loses at least {least.loss(original):.3f} ({least.recipe.name}), more than "
            f"{max_loss:g}; nothing is written",
            hint="calibrate with more pictures of the line, accept more with --max-loss, or "
            "keep the original",
        )
    quickest = min(each.side.run_ms for each in good)
    about = [each for each in good if each.side.run_ms <= quickest * _ABOUT]
    return max(about, key=lambda each: each.side.accuracy)


def _truth(path: Path, model: LoadedModel, same: dict[str, str]) -> Dataset:
    """The data set in the model's terms; one that does not fit is refused before the work."""
    dataset = _numbered(model, read_dataset(path))
    return dataset.in_terms_of(model.card.labels or dataset.names, same)


def _own_words(model: LoadedModel, pictures: Sequence[Path]) -> Dataset:
    """What the original is sure of, as the truth to hold the other one to."""
    runner, judged = model.runner(), []
    for path in pictures:
        image = read_image(path)
        if image is None:
            raise SettingsError(f"{path} is no picture that can be read", hint="leave it out")
        said = runner.infer(image)
        if isinstance(said, Detections):
            sure = said.confidence >= _SURE
            judged.append(Picture(path, said.class_id[sure], said.xyxy[sure]))
        else:
            judged.append(Picture(path, np.array([said.top(1)[0][0]], np.int32)))
    if not any(len(each.class_id) for each in judged):
        raise SettingsError(
            "the model is sure of nothing in these pictures, so nothing can be compared",
            hint="calibrate with pictures that show objects, or give a --dataset",
        )
    return Dataset("own", (), judged)


def _accuracy(model: LoadedModel, dataset: Dataset) -> float:
    report = judge(model, _numbered(model, dataset), {}, _SURE)
    return (report.map50 if report.accuracy is None else report.accuracy) or 0.0


def _numbered(model: LoadedModel, dataset: Dataset) -> Dataset:
    """A data set of the model's own words needs no names where the model has none."""
    if dataset.names or model.card.labels:
        return dataset
    highest = max(int(each.class_id.max(initial=0)) for each in dataset.pictures)
    labels = tuple(str(number) for number in range(highest + 1))
    return Dataset(dataset.format, labels, copy.copy(dataset.pictures))


def _golden_pictures(model: LoadedModel, pictures: Sequence[Path]) -> list[Path]:
    if model.bundle.golden is None:
        return list(pictures[:_GOLDEN])
    return options.pictures([model.bundle.golden])


def _table(
    model: LoadedModel, is_measured: bool, before: Side, made: Sequence[Made]
) -> Iterator[str]:
    figure = "mAP50" if model.card.task == "detection" else "accuracy"
    if not is_measured:
        yield f"{figure} is against what the original is sure of"
    yield f"{'':24} {figure:>9} {'run, ms':>9} {'file, MB':>9}"
    for name, side in [("original", before), *((each.recipe.name, each.side) for each in made)]:
        yield f"{name:24} {side.accuracy:>9.3f} {side.run_ms:>9.2f} {side.size_bytes / 1e6:>9.2f}"

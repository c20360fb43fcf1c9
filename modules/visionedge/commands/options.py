"""What the commands that read a model share: how it is named, hinted at, and waited for.

A hint is a field of the card that wins over everything else. The two that are wrong most
often have an option of their own; `--card` takes the rest.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from visionedge.cameras.capture import silence_opencv
from visionedge.datasets.below import below
from visionedge.errors import ModelError, SettingsError
from visionedge.evaluation.dataset import listed
from visionedge.evaluation.pictures import SUFFIXES
from visionedge.inference.card import Document, read_document
from visionedge.inference.cascade import Rules, misfit
from visionedge.inference.model import LoadedModel, Second, load_model
from visionedge.inference.registry import FORMATS
from visionedge.inference.tiles import Tiling
from visionedge.inference.view import WHOLE, View
from visionedge.settings import ModelSettings, merge

# What is wrong with a picture or video is told in our own words.
silence_opencv()
DEFAULTS: Final = ModelSettings(path=".")
_BESIDE: Final = (".csv", ".json", ".md", ".txt", ".xml", ".yaml", ".yml")
"""What lies beside pictures in any data set, and is no picture that was overlooked."""
_WORTH_A_BAR: Final = 5
_MOST_MARGIN: Final = 2
T = TypeVar("T")


def add_hints(parser: argparse.ArgumentParser) -> None:
    """Declare the options that say how a model is to be read."""
    parser.add_argument(
        "--card", type=Path, metavar="FILE", help="a card, or some fields of one, that wins"
    )
    parser.add_argument(
        "--head",
        choices=tuple(FORMATS),
        metavar="HEAD",
        help=f"which decoder reads it: {', '.join(sorted(FORMATS))}",
    )
    parser.add_argument(
        "--color", choices=("rgb", "bgr", "gray"), help="order of the model's channels"
    )
    parser.add_argument(
        "--scale", type=float, metavar="X", help="what pixels of 0..255 are multiplied by"
    )


def hints(args: argparse.Namespace) -> Document:
    """The fields of the card that the command line sets.

    Raises:
        ModelCardError: the file of `--card` cannot be read.
    """
    said: Document = read_document(args.card) if args.card else {}
    if args.head:
        said = merge(said, {"head": args.head})
    options = {"color": args.color, "scale": args.scale}
    given = {name: value for name, value in options.items() if value is not None}
    return merge(said, {"input": given}) if given else said


def model_for(args: argparse.Namespace, names: Sequence[str]) -> LoadedModel:
    """The model of `--model`; where it has no names, with those of the data set in their order.

    Raises:
        ModelError: it cannot be used.
        SettingsError: it has no names, and the data set has not as many.
    """
    said = hints(args)
    model = load_model(args.model, DEFAULTS, said)
    if model.card.labels or not names:
        return model
    try:
        # Its head knows whether they are as many as its classes.
        model = load_model(args.model, DEFAULTS, merge(said, {"labels": list(names)}))
    except ModelError as error:
        raise SettingsError(
            f"the model has no names for its classes, and the {len(names)} of the data set do not "
            f"fit: {error.args[0]}",
            hint="write its names into `labels` of its card, or into a labels.txt beside it",
        ) from error
    note(f"the model has no names for its classes; assumed in this order: {listed(names)}")
    return model


def add_view(parser: argparse.ArgumentParser) -> None:
    """Declare the options that cut big pictures into tiles."""
    parser.add_argument(
        "--tiles", metavar="WxH", help="look at pictures in tiles of this size, in pixels"
    )
    parser.add_argument(
        "--overlap",
        type=float,
        default=0.2,
        metavar="X",
        help="share of a tile that the next one repeats (default: 0.2)",
    )


def view(args: argparse.Namespace) -> View:
    """How pictures are looked at.

    Raises:
        SettingsError: the options are wrong.
    """
    if not args.tiles:
        return WHOLE
    width, _, height = args.tiles.lower().partition("x")
    sides = [int(side) if side.isdecimal() else 0 for side in (width, height)]
    if not (min(sides) > 0 and 0 <= args.overlap <= 0.9):
        raise SettingsError(
            f"--tiles {args.tiles} --overlap {args.overlap} is no tiling",
            hint="write `--tiles 640x640 --overlap 0.2`; the overlap is 0 to 0.9",
        )
    return View(tiling=Tiling(sides[0], sides[1], args.overlap))


def add_same(parser: argparse.ArgumentParser) -> None:
    """Declare the option for classes that a data set names in another way than the model."""
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="THEIRS=OURS",
        help="a class of the data set by the model's name; may be given several times",
    )


def same(args: argparse.Namespace) -> dict[str, str]:
    """Names of the data set to those of the model.

    Raises:
        SettingsError: one is no pair of names.
    """
    pairs = [text.partition("=") for text in args.map]
    for theirs, equals, ours in pairs:
        if not (theirs and equals and ours):
            raise SettingsError(
                f"--map {theirs}{equals}{ours}: no pair of names", hint="write THEIRS=OURS"
            )
    return {theirs: ours for theirs, _, ours in pairs}


def add_cascade(parser: argparse.ArgumentParser) -> None:
    """Declare the options of a second model."""
    parser.add_argument(
        "--then", type=Path, metavar="PATH", help="a classifier that names each box"
    )
    parser.add_argument(
        "--margin",
        type=float,
        default=0.1,
        metavar="X",
        help="share of a box's sides that it is shown around it (default: 0.1)",
    )
    parser.add_argument(
        "--max-boxes",
        type=int,
        default=16,
        metavar="N",
        help="boxes a picture that it is shown, the surest first (default: 16)",
    )


def cascade(args: argparse.Namespace, model: LoadedModel) -> LoadedModel:
    """The model, followed by that of `--then` where there is one.

    Raises:
        ModelError: the second model cannot be used.
        SettingsError: the two make no cascade.
    """
    if args.then is None:
        return model
    if not (0 <= args.margin <= _MOST_MARGIN and args.max_boxes >= 1):
        raise SettingsError(
            f"--margin {args.margin} --max-boxes {args.max_boxes} is no cascade",
            hint=f"the margin is 0 to {_MOST_MARGIN}, and at least one box is looked at",
        )
    second = load_model(args.then, DEFAULTS)
    rules = Rules(margin=args.margin, most=args.max_boxes)
    if fault := misfit(model.card, second.card, rules):
        raise SettingsError(
            f"--then {args.then}: {fault.reason}", hint="the first finds, the second names"
        )
    return model.with_second(Second(second, rules))


def pictures(
    paths: Iterable[Path], suffixes: Sequence[str] = SUFFIXES, *, missing_ok: bool = False
) -> list[Path]:
    """The pictures that are named, and those in the folders that are named.

    Other files in them are counted on stderr: somebody may take one of them for a picture.

    Args:
        paths: files and folders.
        suffixes: of the files that are taken from folders.
        missing_ok: a name that is nothing stays in the list, for who names it later.

    Raises:
        SettingsError: a folder holds none, or a name is nothing.
    """
    found: list[Path] = []
    for path in paths:
        if not (missing_ok or path.exists()):
            raise SettingsError(f"there is no {path}", hint="check the path")
        if not path.is_dir():
            found.append(path)
            continue
        every = sorted(below(path))
        inside = [p for p in every if p.suffix.lower() in suffixes]
        if not inside:
            raise SettingsError(
                f"there is no picture in {path}", hint=f"pictures end in {', '.join(suffixes)}"
            )
        _tell_left_out(path, [p for p in every if p.suffix.lower() not in (*suffixes, *_BESIDE)])
        found += inside
    return found


def _tell_left_out(folder: Path, others: Iterable[Path]) -> None:
    files = [p for p in others if not p.name.startswith(".") and p.is_file()]
    if files:
        sys.stderr.write(
            f"visionedge: {folder}: {len(files)} files left out, by their names no pictures, such "
            f"as {files[0].name}\n"
        )


def share(value: float, option: str) -> float:
    """The value of an option that is a share or a confidence.

    Raises:
        SettingsError: it is none.
    """
    if not 0 <= value <= 1:
        raise SettingsError(f"{option} {value:g} is out of range", hint="give 0 to 1")
    return value


def note(text: str) -> None:
    """Say on stderr what people should know of a result, if there is anything."""
    if text:
        sys.stderr.write(f"visionedge: {text}\n")


def with_progress(items: Sequence[T], unit: str, *, quiet: bool = False) -> Iterable[T]:
    """The items, with a bar on stderr where somebody watches and tqdm is installed."""
    return counted(items, len(items), unit, quiet=quiet)


def counted(items: Iterable[T], total: int, unit: str, *, quiet: bool = False) -> Iterable[T]:
    """The same for what comes one by one, as the frames of a video; `total` is about how many."""
    if quiet or total < _WORTH_A_BAR or not sys.stderr.isatty():
        return items
    try:
        from tqdm import tqdm
    except ImportError:
        return items
    return tqdm(items, total=total, unit=unit, leave=False)


@contextmanager
def share_bar(what: str, *, quiet: bool = False) -> Iterator[Callable[[float], object]]:
    """A bar on stderr, told the share that is done, 0..1; nothing where nobody watches."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    try:
        from tqdm import tqdm
    except ImportError:
        yield lambda _: None
        return
    with tqdm(total=100, desc=what, unit="%", leave=False) as bar:
        yield lambda share: bar.update(round(100 * share) - bar.n)

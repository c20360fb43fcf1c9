"""`visionedge evaluate`: what a model is worth on pictures whose truth is known.

Runs exactly what the module runs, with a low floor so that the whole curve is seen, and
prints mAP, precision and recall a class, who is taken for whom, and whether a confidence
means what it says.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from visionedge.commands import options, places, plots
from visionedge.commands.draw import saved
from visionedge.entities import Classification, Detections, Image
from visionedge.errors import EXIT_OK, SettingsError
from visionedge.evaluation.dataset import Dataset
from visionedge.evaluation.equal_names import EqualNames
from visionedge.evaluation.formats import FORMATS, read_dataset
from visionedge.evaluation.report import MOST_BOXES, Report, judge_boxes, judge_classes
from visionedge.inference.boxes import Limits
from visionedge.inference.image import read_image
from visionedge.inference.model import LoadedModel
from visionedge.inference.view import WHOLE, View

_FLOOR: Final = 0.01
"""Below it a box changes no figure by a thousandth, and costs time."""
NOTHING: Final = "(nothing)"


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "evaluate",
        help="measure a model on pictures whose truth is known",
        description="Measure a model: mAP50, mAP50-95, precision and recall, confusion, "
        "reliability.",
    )
    parser.add_argument(
        "--model", type=Path, required=True, metavar="PATH", help="bundle, ONNX file or zip"
    )
    parser.add_argument("dataset", type=Path, help="folder of the data set, or COCO's JSON")
    parser.add_argument("--format", choices=tuple(FORMATS), help="of the data set (default: told)")
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.5,
        metavar="X",
        help="confidence from which a box counts for precision and recall (default: 0.5); "
        "of a classifier the best class counts",
    )
    options.add_same(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write report and plots here")
    options.add_hints(parser)
    options.add_view(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code.

    Raises:
        ModelError: the model cannot be used.
        SettingsError: the data set cannot, or an option is wrong.
    """
    options.share(args.threshold, "--threshold")
    same = options.same(args)
    if args.out:
        places.folder(args.out, "--out")
    dataset = read_dataset(args.dataset, args.format)
    options.note(dataset.without_picture)
    model = options.model_for(args, dataset.names)
    report = judge(model, dataset, same, args.threshold, view=options.view(args), quiet=args.json)
    document = {"model": str(args.model), "dataset": str(args.dataset), "format": dataset.format,
                "empty": dataset.empty, **report.document()}  # fmt: skip
    told = json.dumps(document) if args.json else "\n".join(_for_people(report, dataset.empty))
    print(told)
    if args.out:
        _write(args.out, report, json.dumps(document, indent=1))
    return EXIT_OK


def judge(
    model: LoadedModel,
    dataset: Dataset,
    same: dict[str, str],
    threshold: float,
    *,
    view: View = WHOLE,
    quiet: bool = False,
) -> Report:
    """Run a model over a data set.

    Raises:
        ModelRunError: it failed on a picture.
        SettingsError: the data set is not for this model, or a picture cannot be read.
    """
    equal = EqualNames(model.card.labels or dataset.names)
    ours = dataset.in_terms_of(equal.names, same)
    if ours.is_detection != (model.card.task == "detection"):
        kind = "boxes" if ours.is_detection else "classes"
        raise SettingsError(
            f"the data set tells {kind}, and the model is for {model.card.task}",
            hint="choose a data set or a model of the same kind",
        )
    runner = model.runner(Limits(_FLOOR, options.DEFAULTS.nms_iou, MOST_BOXES))
    pictures = options.with_progress(ours.pictures, "picture", quiet=quiet)
    found = [equal.merged(runner.infer(_image(picture.path), view)) for picture in pictures]
    if ours.is_detection:
        boxes = [each for each in found if isinstance(each, Detections)]
        return judge_boxes([each.truth for each in ours.pictures], boxes, equal.names, threshold)
    classes = [each for each in found if isinstance(each, Classification)]
    return judge_classes([int(each.class_id[0]) for each in ours.pictures], classes, equal.names)


def _image(path: Path) -> Image:
    image = read_image(path)
    if image is None:
        raise SettingsError(f"{path} is no picture that can be read", hint="copy it again")
    return image


def _for_people(report: Report, empty: int) -> Iterator[str]:
    width = max(8, *(len(each.label) for each in report.classes))
    heads = f"{'AP50':>7} {'AP50-95':>8} {'precision':>10} {'recall':>7}"
    yield f"{'class':<{width}} {'true':>6} {heads}"
    for each in report.classes:
        if each.truth or each.precision is not None:
            figures = _row(each.ap50, each.ap50_95, each.precision, each.recall)
            yield f"{each.label:<{width}} {each.truth:>6} {figures}"
    if report.accuracy is not None:
        yield f"accuracy {report.accuracy:.3f} over {report.pictures} pictures"
    else:
        total = sum(each.truth for each in report.classes)
        figures = _row(report.map50, report.map50_95, report.precision, report.recall)
        yield f"{'all':<{width}} {total:>6} {figures}"
        with_nothing = f", {empty} of them with nothing in them" if empty else ""
        yield (
            f"{report.pictures} pictures{with_nothing}; precision and recall from confidence "
            f"{report.threshold:g} on"
        )
    for band in report.reliability:
        yield f"confidence {band.confidence:.2f}: {band.right:.2f} right of {band.count}"
    if report.calibration_error is not None:
        yield f"calibration error {report.calibration_error:.3f}"


def _row(*values: float | None) -> str:
    return " ".join(_figure(value, width) for value, width in zip(values, _WIDTHS, strict=True))


_WIDTHS: Final = (7, 8, 10, 7)


def _figure(value: float | None, width: int) -> str:
    return f"{'-' if value is None else f'{value:.3f}':>{width}}"


def _write(folder: Path, report: Report, document: str) -> None:
    names = [each.label for each in report.classes]
    drawings = {
        "confusion.png": plots.confusion(report.confusion, [*names, NOTHING]),
        "reliability.png": plots.reliability(report.reliability, report.calibration_error),
    }
    try:
        (folder / "report.json").write_text(document, encoding="utf-8")
    except OSError as error:
        raise places.unwritable(folder, "--out", error.strerror, "make room") from None
    for name, drawing in drawings.items():
        saved(drawing, folder / name, "--out")

"""`visionedge calibrate`: temperature and thresholds of a model, from pictures or from verdicts.

From labelled pictures, or from the verdicts that came back to a device (`--verdicts`, its egress
ledger). Prints the temperature for the card, how far confidences were from the truth before and
after, and a patch for the twin with the thresholds for a wanted risk and a wanted share of
pictures that may be asked about. `--out` keeps the whole risk-coverage curve and the reliability
in tenths, `--plots` draws it, and `--baseline` adds what drift is told by.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visionedge.commands import options, places, plots
from visionedge.commands.calibrate_verdicts import words_of_verdicts
from visionedge.commands.draw import saved
from visionedge.entities import Classification, Detections, Prediction
from visionedge.errors import EXIT_OK, SettingsError
from visionedge.escalation import fitting
from visionedge.escalation.drift import BaselineCount
from visionedge.escalation.thresholds import Thresholds
from visionedge.evaluation.dataset import Picture
from visionedge.evaluation.equal_names import EqualNames
from visionedge.evaluation.formats import FORMATS, read_dataset
from visionedge.evaluation.report import Bin
from visionedge.inference.boxes import Limits
from visionedge.inference.image import read_image
from visionedge.inference.model import load_model
from visionedge.overlap import iou
from visionedge.settings import DecisionSettings

_LONG: Final = {"curve", "reliability"}
_MATCH_IOU: Final = 0.5
_MOST_BOXES: Final = 100
Words = tuple[fitting.Floats, NDArray[np.bool_]]
"""Confidence of each word about one picture, and whether it is right."""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "calibrate",
        help="fit temperature and thresholds to labelled pictures or verdicts",
        description="Fit a model's temperature, and the thresholds for a wanted risk and a wanted "
        "share of pictures, as a patch for the twin.",
    )
    parser.add_argument("--model", type=Path, metavar="PATH", help="bundle or ONNX, for pictures")
    parser.add_argument(
        "dataset", type=Path, nargs="?", help="folder of the data set, or COCO's JSON"
    )
    parser.add_argument(
        "--verdicts", type=Path, metavar="LEDGER", help="the egress ledger, instead of pictures"
    )
    parser.add_argument(
        "--of", metavar="NAME", help="with --verdicts: the model, by the name in its card"
    )
    parser.add_argument("--format", choices=tuple(FORMATS), help="of the data set (default: told)")
    parser.add_argument(
        "--risk",
        type=float,
        default=0.05,
        metavar="X",
        help="share of taken words that may be wrong (default: 0.05)",
    )
    parser.add_argument(
        "--share",
        type=float,
        default=0.2,
        metavar="X",
        help="share of pictures that may be asked about (default: 0.2)",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write all figures as JSON")
    parser.add_argument(
        "--plots", type=Path, metavar="DIR", help="write reliability.png, before and after"
    )
    parser.add_argument(
        "--baseline",
        action="store_true",
        help="add to the card what these pictures show, for drift; they should be as on the line",
    )
    options.add_same(parser)
    options.add_hints(parser)
    options.add_view(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code.

    Raises:
        ModelError: the model cannot be used.
        SettingsError: the data set cannot, or an option is wrong.
    """
    for name in ("risk", "share"):
        options.share(getattr(args, name), f"--{name}")
    if (args.verdicts is None) == (args.dataset is None):
        raise SettingsError(
            "calibrate from pictures or from verdicts", hint="name a data set, or --verdicts LEDGER"
        )
    if args.verdicts is None and args.model is None:
        raise SettingsError("pictures need a model to look at them", hint="name it with --model")
    # The folder first: the file may be to lie in it.
    if args.plots:
        places.folder(args.plots, "--plots")
    if args.out:
        places.file(args.out, "--out")
    document = _fitted(args, _of_verdicts(args) if args.verdicts else _words(args))
    if args.out:
        places.write(args.out, "--out", json.dumps(document, indent=1))
    told = {key: value for key, value in document.items() if key not in _LONG}
    print(json.dumps(told, indent=1))
    return EXIT_OK


@dataclass(slots=True)
class _Judged:
    """What was said, and how it was read."""

    words: list[Words]
    temperature: float = 1.0
    baseline: dict[str, object] | None = None


def _fitted(args: argparse.Namespace, judged: _Judged) -> dict[str, object]:
    words, before = judged.words, judged.temperature
    confidence = np.concatenate([each for each, _ in words]) if words else np.zeros(0)
    right = np.concatenate([each for _, each in words]) if words else np.zeros(0, np.bool_)
    temperature = fitting.fit_temperature(confidence, right)
    calibrated = fitting.scaled(confidence, temperature)
    curve = fitting.risk_coverage(calibrated, right)
    point = fitting.accept_for(curve, args.risk, len(calibrated))
    if point is None:
        raise SettingsError(
            f"no threshold takes ten words of {len(calibrated)} at a risk of {args.risk:g}",
            hint="allow more with --risk, label more pictures, or train the model further",
        )
    # Down, so that the word which set it is taken; what is below the floor is never seen.
    accept = max(options.DEFAULTS.floor, float(np.floor(point.accept * 1e4) / 1e4))
    if args.plots:
        _plot(args.plots, confidence, calibrated, right)
    card: dict[str, object] = {"temperature": round(before * temperature, 4)}
    if judged.baseline is not None:
        card["baseline"] = judged.baseline
    pictures = [fitting.scaled(each, temperature) for each, _ in words]
    close = fitting.close_for(pictures, accept, options.DEFAULTS.floor, args.share)
    asked = fitting.asked_share(pictures, accept + close, options.DEFAULTS.floor)
    if asked > args.share:
        options.note(
            f"{asked:.1%} of the pictures would be asked about, not {args.share:.1%}; "
            "no threshold does both (allow more with --risk or --share, or train the model)"
        )
    return {
        "pictures": len(words),
        "words": len(confidence),
        "temperature": round(before * temperature, 4),
        "calibration_error_before": round(fitting.calibration_error(confidence, right), 4),
        "calibration_error_after": round(fitting.calibration_error(calibrated, right), 4),
        "coverage": round(point.coverage, 4),
        "risk": round(point.risk, 4),
        "asked": round(asked, 4),
        "card": card,
        "patch": {"decision": {"accept": accept, "close": close}},
        "curve": [asdict(each) for each in curve],
        "reliability": [asdict(each) for each in tenths(calibrated, right)],
    }


def _plot(
    folder: Path, before: fitting.Floats, after: fitting.Floats, right: NDArray[np.bool_]
) -> None:
    """Both diagrams side by side."""
    drawn = [
        plots.reliability(tenths(each, right), fitting.calibration_error(each, right))
        for each in (before, after)
    ]
    saved(np.concatenate(drawn, axis=1), folder / "reliability.png", "--plots")


def tenths(confidence: fitting.Floats, right: NDArray[np.bool_]) -> list[Bin]:
    """For each tenth of confidence with words in it: how sure they were, and how often right."""
    number = np.minimum((confidence * 10).astype(int), 9)
    inside = [number == tenth for tenth in range(10)]
    return [
        Bin(float(confidence[each].mean()), float(right[each].mean()), int(each.sum()))
        for each in inside
        if each.any()
    ]


def _of_verdicts(args: argparse.Namespace) -> _Judged:
    """What verdicts said, and the temperature that the model had then."""
    words = words_of_verdicts(args.verdicts, args.of)
    if args.model is None:
        return _Judged(words)
    return _Judged(words, load_model(args.model, options.DEFAULTS).card.temperature)


def _words(args: argparse.Namespace) -> _Judged:
    """What the model says of each picture, and the temperature that it has now."""
    same, view = options.same(args), options.view(args)
    dataset = read_dataset(args.dataset, args.format)
    options.note(dataset.without_picture)
    model = options.model_for(args, dataset.names)
    equal = EqualNames(model.card.labels)
    ours = dataset.in_terms_of(equal.names, same)
    if ours.is_detection != (model.card.task == "detection"):
        raise SettingsError(
            f"the data set is not for {model.card.task}", hint="choose one of the same kind"
        )
    runner = model.runner(Limits(options.DEFAULTS.floor, options.DEFAULTS.nms_iou, _MOST_BOXES))
    thresholds, usual = Thresholds(DecisionSettings()), BaselineCount()
    words = []
    for picture in options.with_progress(ours.pictures, "picture", quiet=False):
        image = read_image(picture.path)
        if image is None:
            raise SettingsError(f"{picture.path} is no picture", hint="copy it again")
        prediction = runner.infer(image, view)
        usual.add(prediction, thresholds)
        words.append(judged(equal.merged(prediction), picture))
    baseline = asdict(usual.baseline()) if args.baseline else None
    return _Judged(words, model.card.temperature, baseline)


def judged(prediction: Prediction, picture: Picture) -> Words:
    """The confidence of each word about a picture, and whether it is right."""
    if isinstance(prediction, Classification):
        ((best, confidence),) = prediction.top(1) or [(-1, 0.0)]
        right = bool(len(picture.class_id)) and best == int(picture.class_id[0])
        return np.array([confidence]), np.array([right])
    return prediction.confidence.astype(np.float64), _right_boxes(prediction, picture)


def _right_boxes(prediction: Detections, picture: Picture) -> NDArray[np.bool_]:
    right = np.zeros(len(prediction), np.bool_)
    if picture.xyxy is None or not len(picture.xyxy):
        return right
    shared = iou(prediction.xyxy, picture.xyxy)
    free = np.ones(len(picture.xyxy), np.bool_)
    for i in np.argsort(-prediction.confidence, kind="stable").tolist():
        same = free & (picture.class_id == prediction.class_id[i]) & (shared[i] >= _MATCH_IOU)
        if same.any():
            right[i] = True
            free[int(np.where(same, shared[i], -1).argmax())] = False
    return right

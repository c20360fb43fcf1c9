"""`python -m training`: render, learn, calibrate, export, and write the whole bundle.

One command makes everything in `models/pcb-defects` but its README, whose figures come from
`python -m training.measure`. It learns in two stages: the virtual line first, then, from those
weights on, two etched boards to one frame of the line. Weights of the first stage that lie in
the scratch folder already are taken as they are. `--quick` goes the same way in two minutes, to
see that it works; its model is worth nothing.
"""

import argparse
from dataclasses import replace
from itertools import chain
from pathlib import Path

from training.bundle import MODEL_NAME, write_card
from training.calibrate import Line, fit_line
from training.etched import etched_board
from training.golden import write_golden
from training.lines import Split, frames_of, natural_line
from training.measure import STYLES, measure
from training.pool import etched_pool, line_pool
from visionedge.evaluation.average_precision import Boxes
from visionedge.inference.image import use_one_thread

try:
    from training.export import VERSION, export_onnx
    from training.fit import Plan, fit
    from training.net import DefectNet
    from training.predict import predict
except ModuleNotFoundError as error:
    raise SystemExit(
        f"python -m training: {error.name} is not installed: `make train` has a .venv-train with it"
    ) from None

_FIRST = Plan()
_SECOND = Plan(steps=2_400, rate=2e-3)
_QUICK = Plan(steps=60, batch=4, checkpoint_steps=60)


def main() -> None:
    """Train and write the bundle."""
    arguments = _arguments()
    use_one_thread()
    lines, boards = (2, 40) if arguments.quick else (arguments.lines, arguments.boards)
    of_line = line_pool(arguments.scratch, arguments.seed, lines)
    etched = etched_pool(arguments.scratch, arguments.seed, boards)
    limits = {"minutes": arguments.minutes, "seed": arguments.seed}
    first, second = (_QUICK, _QUICK) if arguments.quick else (_FIRST, _SECOND)
    start = arguments.scratch / "lines.pt"
    if not start.exists():
        fit([of_line], replace(first, **limits), start)
    best = arguments.scratch / "best.pt"
    net = fit([of_line, etched, etched], replace(second, **limits), best, start)
    finish(net, arguments.out, frames=10 if arguments.quick else 300)


def finish(net: DefectNet, out: Path, frames: int) -> None:
    """Calibrate a trained net and write its bundle; then measure what was written."""
    line = _calibration(net, frames)
    print(f"calibration: logit * {line.gain:.3f} + {line.offset:.3f}")
    out.mkdir(parents=True, exist_ok=True)
    export_onnx(net, line, out / MODEL_NAME)
    write_card(out, VERSION)
    write_golden(out)
    for style in ("natural", "etched"):
        measure(out, STYLES[style](frames))


def _calibration(net: DefectNet, frames: int) -> Line:
    """Fitted on the line as it runs, with an etched board to fifteen frames: on the line alone
    the confidences on scans, which are harder, come out too humble to be of use."""
    first = int(Split.CALIBRATE)
    of_line = (s for at in range(frames // 5) for s in frames_of(natural_line(first + at), 5))
    etched = (etched_board(first + at) for at in range(frames // 15))
    truths, found = [], []
    for sample in chain(of_line, etched):
        truths.append(Boxes.true(sample.xyxy, sample.class_id))
        found.append(predict(net, sample.image))
    return fit_line(truths, found)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("--minutes", type=float, default=_FIRST.minutes, help="limit of each stage")
    parser.add_argument("--seed", type=int, default=_FIRST.seed, help="of pictures and weights")
    parser.add_argument("--lines", type=int, default=100, help="lines to render, 16 frames each")
    parser.add_argument("--boards", type=int, default=1_600, help="etched boards to render")
    parser.add_argument("--out", type=Path, default=Path("models/pcb-defects"), help="the bundle")
    parser.add_argument("--scratch", type=Path, default=Path("out/training"),
                        help="rendered frames (2.8 MB each) and checkpoints")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="two minutes, to see that it works")
    return parser.parse_args()


if __name__ == "__main__":
    main()

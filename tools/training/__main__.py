"""`python -m training`: render, learn, calibrate, export, and write the whole bundle.

One command makes everything in `models/pcb-defects` but its README, whose figures come from
`python -m training.measure`. `--quick` goes the same way in two minutes, to see that it works;
its model is worth nothing.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from training.bundle import MODEL_NAME, write_card
from training.calibrate import Line, fit_line
from training.export import VERSION, export_onnx
from training.fit import Plan, fit
from training.golden import write_golden
from training.lines import Split, frames_of, natural_line
from training.measure import measure_lines
from training.net import DefectNet
from training.pool import render_pool
from training.predict import predict
from visionedge.cameras.scene import LineSpec
from visionedge.evaluation.average_precision import Boxes
from visionedge.inference.image import use_one_thread

_FULL = Plan()
_QUICK = Plan(steps=60, batch=4, checkpoint_steps=60)


def main() -> None:
    """Train and write the bundle."""
    arguments = _arguments()
    use_one_thread()
    plan = _QUICK if arguments.quick else _FULL
    plan = replace(plan, minutes=arguments.minutes, seed=arguments.seed)
    lines = 2 if arguments.quick else arguments.lines
    pool = render_pool(arguments.scratch, plan.seed, lines)
    net = fit(pool, plan, arguments.scratch / "best.pt")
    finish(net, arguments.out, frames=10 if arguments.quick else 300)


def finish(net: DefectNet, out: Path, frames: int) -> None:
    """Calibrate a trained net and write its bundle; then measure what was written."""
    line = _calibration(net, natural_line, frames)
    print(f"calibration: logit * {line.gain:.3f} + {line.offset:.3f}")
    out.mkdir(parents=True, exist_ok=True)
    export_onnx(net, line, out / MODEL_NAME)
    write_card(out, VERSION)
    write_golden(out)
    measure_lines(out, natural_line, frames)


def _calibration(net: DefectNet, line: Callable[[int], LineSpec], frames: int) -> Line:
    truths, found = [], []
    for number in range(frames // 5):
        for sample in frames_of(line(int(Split.CALIBRATE) + number), 5):
            truths.append(Boxes.true(sample.xyxy, sample.class_id))
            found.append(predict(net, sample.image))
    return fit_line(truths, found)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("--minutes", type=float, default=_FULL.minutes, help="limit of learning")
    parser.add_argument("--seed", type=int, default=_FULL.seed, help="of pictures and weights")
    parser.add_argument("--lines", type=int, default=100, help="lines to render, 16 frames each")
    parser.add_argument("--out", type=Path, default=Path("models/pcb-defects"), help="the bundle")
    parser.add_argument("--scratch", type=Path, default=Path("out/training"),
                        help="rendered frames (2.8 MB each) and checkpoints")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="two minutes, to see that it works")
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""`python -m bench`: measure visionedge against the bare run of a model, side by side.

Each benchmark prints a table, and writes it as JSON with the machine and the versions and as a
picture. A figure is a ratio within one run; see `docs/explanation/performance.md`.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Final

from bench import plot
from bench.context import Context
from bench.registry import BENCHMARKS, DEFAULTS
from bench.report import machine
from bench.subjects import DEFAULT_SUBJECTS, SUBJECTS
from visionedge.errors import VisionEdgeError
from visionedge.inference.image import use_one_thread

_PAIRS: Final = (150, 40)
_BLOCKS: Final = (10, 4)
"""Rounds by default, and with --quick."""
_PATIENCE_S: Final = (10.0, 2.0)
EXIT_USAGE: Final = 2


def main(arguments: list[str] | None = None) -> int:
    """Run the asked benchmarks; returns the exit code."""
    asked = _parsed(arguments)
    if asked.list:
        return _list()
    use_one_thread()
    print(", ".join(f"{name} {value}" for name, value in machine().items()), flush=True)
    with tempfile.TemporaryDirectory(prefix="visionedge-bench-") as scratch:
        context = Context(
            folder=Path(scratch),
            roles=tuple(asked.model or DEFAULT_SUBJECTS),
            pairs=asked.pairs or _PAIRS[asked.quick],
            blocks=asked.blocks or _BLOCKS[asked.quick],
            patience_s=_PATIENCE_S[asked.quick] if asked.patience is None else asked.patience,
            quiet=asked.quiet,
        )
        try:
            for name in BENCHMARKS if asked.all else asked.benchmark or DEFAULTS:
                _run(name, context, asked.out)
        except VisionEdgeError as error:
            print(f"bench: {error}", file=sys.stderr)
            return EXIT_USAGE
    return 0


def _run(name: str, context: Context, out: Path) -> None:
    report = BENCHMARKS[name](context)
    for table in report.tables:
        print(f"\n{name} {table}", flush=True)
    for reason in report.skipped:
        print(f"\n{name} skipped {reason}", flush=True)
    written = [str(path) for path in (report.save(out), plot.save(report, out)) if path]
    print(f"\n{name}: written to {' and '.join(written)}", flush=True)


def _list() -> int:
    for name, run in BENCHMARKS.items():
        summary = (sys.modules[run.__module__].__doc__ or "").splitlines()[0]
        print(f"{name:12} {summary}")
    print(f"\nmodels: {', '.join(SUBJECTS)}")
    return 0


def _parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure visionedge against the bare run of a model, side by side in one run.",
        epilog="Figures are ratios within one run. docs/explanation/performance.md tells more.",
    )
    parser.add_argument(
        "benchmark",
        nargs="*",
        choices=[*BENCHMARKS, []],
        metavar="BENCHMARK",
        help=f"of {', '.join(BENCHMARKS)}; {', '.join(DEFAULTS)} if none is named",
    )
    parser.add_argument("--all", action="store_true", help="run every one, for half an hour")
    parser.add_argument("--list", action="store_true", help="tell what there is, and end")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: about 40 seconds")
    parser.add_argument(
        "--model",
        action="append",
        choices=list(SUBJECTS),
        help=f"measure this one; may be repeated; by default {', '.join(DEFAULT_SUBJECTS)}",
    )
    parser.add_argument("--pairs", type=_count, help="rounds frame by frame")
    parser.add_argument("--blocks", type=_count, help="rounds second by second")
    parser.add_argument(
        "--patience",
        type=float,
        metavar="SECONDS",
        help="how much longer each table may take while others keep the machine busy",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("out/bench"), help="folder of the JSON files and pictures"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError(text)
    return count


if __name__ == "__main__":
    sys.exit(main())

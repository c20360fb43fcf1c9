"""`visionedge tune`: measure on this device how its models run best, and let the module do so.

Workers, threads of a run and spinning are measured against each other; also other files of
the same model (an INT8 one, another size) and other execution providers where they are named.
The best division of the present file is kept where the module reads it at its next start.
Another file or provider is a change of the model, so it is only told, as a patch for the
twin: whether its answers are as good is for `evaluate` to say.

It may run beside a running line: it lets everything else go first, for a bounded time, and
the figures then are those of a busy device, which is the one that counts.
"""

import argparse
import errno
import json
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

from visionedge import settings as sources
from visionedge.commands import options, places, speed
from visionedge.commands.draw import saved
from visionedge.commands.tune_result import PRESENT, Result
from visionedge.delivery.slots import SlotStore
from visionedge.entities import Image
from visionedge.errors import EXIT_OK, SettingsError
from visionedge.evaluation import tuning
from visionedge.inference.card import Document, ModelCard
from visionedge.inference.image import read_image
from visionedge.inference.model import LoadedModel, load_model
from visionedge.inference.session import installed_providers
from visionedge.inference.tuned import Choice, Tuned
from visionedge.runtime.cores import cores
from visionedge.settings import ModelSettings, Settings

_MOST_FRAMES: Final = 8
_SESSION_COPIES: Final = 4
"""A session takes about as many times its file: weights, packed weights, activations."""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "tune",
        help="measure how models run best on this device",
        description="Measure workers, threads and spinning for the models in use, and keep the "
        "best where the module reads it at its next start. Runs beside a running line.",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings as JSON")
    parser.add_argument(
        "--model",
        type=Path,
        metavar="PATH",
        help="this bundle or ONNX file instead of those in the settings",
    )
    _add_others(parser)
    parser.add_argument(
        "--goal",
        choices=("throughput", "latency", "cpu"),
        default="throughput",
        help="what to be best at: frames a second, milliseconds a frame, or CPU a frame "
        "(default: throughput)",
    )
    parser.add_argument(
        "--seconds", type=float, default=30, metavar="N", help="for each model (default: 30)"
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="most workers (default: one more than cores)"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the result as PNG")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--dry-run", action="store_true", help="measure, and keep nothing")


def _add_others(parser: argparse.ArgumentParser) -> None:
    """Declare what else may be measured."""
    parser.add_argument(
        "--candidate",
        type=Path,
        action="append",
        default=[],
        metavar="PATH",
        help="another file to measure too, such as an INT8 bundle; may be repeated",
    )
    parser.add_argument(
        "--size",
        action="append",
        default=[],
        metavar="WxH",
        help="another input size to measure too, of a model that leaves it free; may be repeated",
    )
    parser.add_argument(
        "--provider",
        action="append",
        default=[],
        choices=installed_providers(),
        help="another execution provider to measure too; may be repeated",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code.

    Raises:
        ModelError: a model cannot be used.
        SettingsError: an option or the settings are wrong, or the choice cannot be kept.
    """
    _check(args)
    settings = _in_use(args)
    tuned = Tuned(Path(settings.spool.path).parent / "models")
    tuning.be_modest()
    told = []
    for name, path in _models(args, settings).items():
        contest, present = _contest(args, settings, tuned, name, path)
        with options.share_bar(f"tune {name}", quiet=args.json) as tick:
            contest.run(args.seconds, tick)
        told.append(_settled(args, tuned, name, contest, present))
    if args.json:
        print(json.dumps(told, indent=1))
    return EXIT_OK


def _check(args: argparse.Namespace) -> None:
    """Refuse what is wrong with the options before anything is measured."""
    if not (math.isfinite(args.seconds) and args.seconds > 0):
        raise SettingsError(f"--seconds {args.seconds:g} is no time", hint="give more than 0")
    if args.workers is not None and args.workers < 1:
        raise SettingsError(f"--workers {args.workers} are none", hint="give 1 or more")
    if args.plot:
        places.file(args.plot, "--plot", ".png")
    _sizes(args)


def _in_use(args: argparse.Namespace) -> Settings:
    """The settings of the module that runs here: those of the hub too, as it last had them."""
    layers = [
        sources.from_file(args.config) if args.config else {},
        sources.from_environment(args.environment),
    ]
    settings = sources.resolve(layers)
    kept = sources.LastGood(Path(settings.spool.path).parent / sources.LAST_GOOD_NAME).load()
    return settings if kept is None else sources.resolve_kept(layers, kept[0])


def _models(args: argparse.Namespace, settings: Settings) -> dict[str, Path]:
    """Name and place of what is tuned: what is asked for, or what the cameras use."""
    if args.model:
        return {"default" if "default" in settings.models else "model": args.model}
    delivered = SlotStore(Path(settings.spool.path).parent / "delivered")
    used = sorted({camera.model for camera in settings.cameras.values()})
    places = {}
    for name in used:
        active = delivered.slots(name).active
        is_there = delivered.has(name, active)
        places[name] = (
            delivered.path_of(name, active) if is_there else Path(settings.models[name].path)
        )
    return places


def _contest(
    args: argparse.Namespace, settings: Settings, tuned: Tuned, name: str, path: Path
) -> tuple[tuning.Contest, LoadedModel]:
    """Every way that is to be measured, the present one first."""
    own = settings.models.get(name, options.DEFAULTS)
    most = args.workers or cores() + 1
    present = load_model(path, own.model_copy(update={"intra_op_threads": 1, "spin": False}))
    now = _now(settings, own, tuned, present)
    entries: dict[tuning.Way, LoadedModel] = {}
    for file, place, hints in _files(args, path):
        _check_memory(place, most)
        for provider in dict.fromkeys((own.providers[0], *args.provider)):
            for workers, threads, spin in tuning.ways(cores(), most):
                other = str(place) if place != path else ""
                way = tuning.Way(file, provider, workers, threads, spin, other)
                entries[way] = load_model(place, _options(own, way), hints)
                _be_sure_of_same(place, entries[way].card, path, present.card)
    if now not in entries:
        entries[now] = load_model(path, _options(own, now))
    ordered = sorted(entries.items(), key=lambda each: each[0] != now)
    return tuning.Contest(ordered, _frames(present), args.goal), present


def _be_sure_of_same(other: Path, card: ModelCard, path: Path, present: ModelCard) -> None:
    """Refuse a file that cannot take the place of the present one, however quick it is.

    Raises:
        SettingsError: it has another task or other classes.
    """
    what = ""
    if card.task != present.task:
        what = f"it is for {card.task}, and {path} for {present.task}"
    elif card.labels != present.labels:
        pairs = zip_longest(card.labels, present.labels)
        number, (its, ours) = next((n, p) for n, p in enumerate(pairs) if p[0] != p[1])
        what = f"its class {number} is {its!r}, and that of {path} {ours!r}"
    if what:
        raise SettingsError(
            f"--candidate {other}: {what}",
            hint="name files of the same model, with its labels, and with --model which it is",
        )


def _now(settings: Settings, own: ModelSettings, tuned: Tuned, model: LoadedModel) -> tuning.Way:
    """How the module runs it at present."""
    sha256 = str(model.card.sha256)
    resolved, choice = tuned.applied(own, sha256), tuned.choice(sha256)
    workers = settings.inference.workers or (choice.workers if choice else cores())
    return tuning.Way(PRESENT, own.providers[0], workers, resolved.intra_op_threads, resolved.spin)


def _files(args: argparse.Namespace, path: Path) -> Iterator[tuple[str, Path, Document | None]]:
    """What is measured: name, place and hints of each file."""
    yield PRESENT, path, None
    for text, fields in _sizes(args).items():
        yield text, path, fields
    for candidate in args.candidate:
        yield candidate.name, candidate, None


def _sizes(args: argparse.Namespace) -> dict[str, Document]:
    """The fields of the card for each size that is asked for."""
    sizes = {}
    for text in args.size:
        width, _, height = text.lower().partition("x")
        if not (width.isdecimal() and height.isdecimal()):
            raise SettingsError(f"--size {text} is no size", hint="write it as 640x480")
        sizes[text] = {"input": {"width_px": int(width), "height_px": int(height)}}
    return sizes


def _options(own: ModelSettings, way: tuning.Way) -> ModelSettings:
    return own.model_copy(
        update={
            "providers": tuple(dict.fromkeys((way.provider, *own.providers))),
            "intra_op_threads": way.threads,
            "spin": way.spin,
        }
    )


def _check_memory(path: Path, sessions: int) -> None:
    """Refuse to load so often what the device can hardly hold once.

    Raises:
        SettingsError: it would take more than half of what is free.
    """
    size = sum(file.stat().st_size for file in ([path] if path.is_file() else path.glob("*.onnx")))
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    if size * _SESSION_COPIES * sessions > free / 2:
        raise SettingsError(
            f"{path}: {sessions} sessions of it would take more than half of the free memory",
            hint="allow fewer workers with --workers, or tune while the module is stopped",
        )


def _frames(model: LoadedModel) -> Sequence[Image]:
    """The bundle's golden frames, else noise."""
    if model.bundle.golden is None:
        return [speed.frame()]
    found = (read_image(path) for path in options.pictures([model.bundle.golden])[:_MOST_FRAMES])
    return [image for image in found if image is not None] or [speed.frame()]


def _settled(
    args: argparse.Namespace,
    tuned: Tuned,
    name: str,
    contest: tuning.Contest,
    present: LoadedModel,
) -> dict[str, Any]:
    """Keep the best way for the present file, and tell of it and of better ones."""
    result = Result(name, contest, args.goal, PRESENT, _sizes(args))
    if not args.json:
        print("\n".join(result.table()))
    if not args.dry_run:
        _keep(args, tuned, result.chosen, present)
    if result.patch and not args.json:
        print(f"better still, if its answers are as good: {json.dumps(result.patch)}")
    if result.card and not args.json:
        print(
            "better still, if its answers are as good: import the model again with --card FILE, "
            f"and in it {json.dumps(result.card)}"
        )
    if args.plot:
        saved(result.plot(), args.plot, "--plot")
    return {"kept": None if args.dry_run else str(tuned.path), **result.document()}


def _keep(
    args: argparse.Namespace, tuned: Tuned, best: tuning.Measured, present: LoadedModel
) -> None:
    way = best.way
    at = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        tuned.keep(
            str(present.card.sha256), Choice(way.workers, way.threads, way.spin, args.goal, at)
        )
    except OSError as error:
        raise SettingsError(
            f"the choice cannot be kept in {tuned.path}: {error.strerror}",
            hint="free some space there"
            if error.errno == errno.ENOSPC
            else "run it as the user of the module, or name its settings with --config",
        ) from None
    if not args.json:
        print(f"kept in {tuned.path}; the module runs it so from its next start on")

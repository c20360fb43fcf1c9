"""`visionedge replay`: which rules fired, and why, on what was recorded.

What can be replayed, through the settings of `--config`:

- escalations, as they were sent (JSON, or the JSON lines of a folder hub): the rules judge the
  recorded prediction again; with the settings that sent it, reason and score are the same;
- videos, pictures and folders: through model, rules, tracks, second looks and budgets, on a clock
  that is made from `--fps`, so two replays are the same to the last bit;
- a video or folder with the `--trace` that the module wrote of it (`log.trace`): each call is
  made again in its order, and every decision must be the one that was made then.

Nothing of it needs a hub, and nothing is sent.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from visionedge import settings as sources
from visionedge.cameras.picture import PICTURE_SUFFIXES
from visionedge.commands import options
from visionedge.commands.footage import VIDEOS, shots_in
from visionedge.commands.replay_frames import Footage, replay_frames
from visionedge.commands.replay_message import replay_message
from visionedge.commands.replay_trace import replay_trace
from visionedge.errors import EXIT_OK, CameraError, SettingsError
from visionedge.evaluation.pictures import SUFFIXES
from visionedge.settings import Settings

EXIT_DIFFERS: Final = 8
_MESSAGES: Final = (".json", ".jsonl")


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "replay",
        help="decide again on what was recorded, and tell why",
        description="Decide again on recorded escalations, videos or pictures, and tell which rule "
        "fired and why. Exits with 8 where that differs from what was recorded, else with 4 if a "
        "file could not be read, after all others.",
    )
    parser.add_argument(
        "inputs",
        type=Path,
        nargs="+",
        metavar="FILE_OR_FOLDER",
        help="escalations as JSON, or videos, pictures and folders of them",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings as JSON")
    parser.add_argument(
        "--camera", metavar="NAME", help="whose rules decide (default: the message's, or the first)"
    )
    parser.add_argument(
        "--fps", type=float, default=30.0, metavar="X", help="pace of pictures (default: 30)"
    )
    parser.add_argument(
        "--trace", type=Path, metavar="FILE", help="what the module wrote to `log.trace`"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code.

    Raises:
        SettingsError: the settings or an input cannot be used.
        ModelError: the camera's model cannot.
    """
    if not 0 < args.fps <= 1000:
        raise SettingsError(f"--fps {args.fps:g} is no pace", hint="give 0.1 to 1000")
    layers = [
        sources.from_file(args.config) if args.config else {},
        sources.from_environment(args.environment),
    ]
    settings = sources.resolve(layers)
    counts: Counter[str] = Counter()
    differs = False
    is_messages = _is_messages(args)
    # A camera counts its own kinds of pictures only, and a trace goes by its numbers.
    suffixes = (*(PICTURE_SUFFIXES if args.trace else SUFFIXES), *VIDEOS)
    paths = options.pictures(args.inputs, suffixes, missing_ok=is_messages)
    footage = Footage(() if is_messages else paths)
    lines = _messages(args, settings) if is_messages else _frames(args, settings, footage)
    for line in options.counted(lines, _about(args, paths), "frame", quiet=sys.stdout.isatty()):
        differs = differs or line.get("same") is False
        counts[_kind(line)] += 1
        text = json.dumps(line) if args.json else _for_people(line)
        if text:
            print(text)
    if not args.json:
        print(", ".join(f"{count} {what}" for what, count in counts.most_common()) or "nothing")
    if differs:
        return EXIT_DIFFERS
    return CameraError.exit_code if footage.unread else EXIT_OK


def _is_messages(args: argparse.Namespace) -> bool:
    messages = [path for path in args.inputs if path.suffix in _MESSAGES]
    if messages and (len(messages) < len(args.inputs) or args.trace):
        raise SettingsError(
            "escalations and pictures are replayed one by one", hint="name only one kind"
        )
    return bool(messages)


def _messages(args: argparse.Namespace, settings: Settings) -> Iterator[dict[str, Any]]:
    for path in args.inputs:
        yield from replay_message(path, settings, args.camera)


def _frames(
    args: argparse.Namespace, settings: Settings, footage: Footage
) -> Iterator[dict[str, Any]]:
    camera = _camera(args.camera, settings)
    if args.trace:
        yield from replay_trace(args.trace, footage, settings)
    else:
        yield from replay_frames(footage, settings, camera, args.fps)


def _about(args: argparse.Namespace, paths: Sequence[Path]) -> int:
    """About how many lines come; a few more where there are questions."""
    if args.trace is None:
        return sum(map(shots_in, paths))
    try:
        with args.trace.open("rb") as trace:
            return sum(1 for _ in trace)
    except OSError:
        return 0


def _camera(name: str | None, settings: Settings) -> str:
    if name is None:
        name = next(iter(settings.cameras), None)
    if name is None or name not in settings.cameras:
        known = ", ".join(settings.cameras)
        raise SettingsError(f"there is no camera `{name}`", hint=f"there are: {known}")
    return name


def _kind(line: dict[str, Any]) -> str:
    if "question" in line and "asked" in line:
        return "questions asked" if line["asked"] else f"not asked: {line['why']}"
    if "same" in line:
        return "the same" if line["same"] else "different"
    return f"{line['action']}: {line['reason']}"


def _for_people(line: dict[str, Any]) -> str:
    if "asked" in line:
        word = "asked" if line["asked"] else "not asked"
        return f"{'':14}question {line['question']}: {word}, {line['why']} {line['score']:.3f}"
    if line["action"] == "accept" and line.get("same") is not False:
        return ""
    why = "; ".join(f"{each['rule']} {each['score']:.3f}" for each in line["rules"])
    text = f"{line['frame']:>12}  {line['action']:9} {line['reason']:18} {line['score']:.3f}  {why}"
    if line.get("same") is False:
        recorded = line["recorded"]
        text += f"  recorded: {recorded['reason']} {recorded['score']:.3f}"
    return text

"""`visionedge run`: the module itself.

In a container it finds its settings in the environment and the twin; anywhere else
`--config`, `--source` and `--model` are enough. `--status` is for a person who watches: a
line a second on stdout and a summary at the end. The log goes to stderr.
"""

import argparse
import json
import math
import os
import threading
from pathlib import Path
from typing import Final

from visionedge import settings
from visionedge.commands import places
from visionedge.errors import SettingsError
from visionedge.inference.ahead import Ahead
from visionedge.runtime import log
from visionedge.runtime.collector import uncollected
from visionedge.runtime.signals import stop_on_signals
from visionedge.settings.shorthand import camera_document
from visionedge.uplink import environment
from visionedge.uplink.spool_claim import alone

_STATUS_INTERVAL_S: Final = 1.0


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "run",
        help="run the module",
        description="Run the module until SIGTERM or Ctrl-C. Settings come from the defaults, "
        "--config, VISIONEDGE__SECTION__FIELD in the environment, the options below, and the "
        "module twin, later ones winning.",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings as JSON")
    parser.add_argument(
        "--source",
        metavar="SOURCE",
        help="one camera instead of those in the settings: `pattern` (the virtual line), a video "
        "file, a folder of pictures, an rtsp:// or http:// address, or /dev/videoN",
    )
    parser.add_argument(
        "--model", metavar="PATH", help="bundle folder or ONNX file instead of the default model"
    )
    parser.add_argument(
        "--seconds", type=float, metavar="N", help="end after N seconds (default: never)"
    )
    parser.add_argument(
        "--grace", type=float, default=8.0, metavar="N", help="seconds to end in (default: 8)"
    )
    parser.add_argument("--status", action="store_true", help="print a line a second on stdout")
    parser.add_argument("--summary", type=Path, metavar="FILE", help="write the summary as JSON")


def run(args: argparse.Namespace) -> int:
    """Run the module; returns the exit code.

    Raises:
        VisionEdgeError: of the kind that ended it; a setting, a model or an option.
    """
    _check(args)
    # A second Ctrl-C: the first is taking too long for the person who pressed it.
    stop = stop_on_signals(lambda number: os._exit(128 + number))
    layers = [
        settings.from_file(args.config) if args.config else {},
        settings.from_environment(args.environment),
        _from_arguments(args),
    ]
    # Errors in the settings must be readable before the settings name a log level.
    log.configure("INFO")
    begun = settings.begin(layers)
    log.configure(begun.settings.log.level)
    # The link that needs it is made after the first decision, which is late to learn of it.
    environment.resolved(begun.settings.uplink, args.environment)
    with alone(begun) as ours:
        return _run(args, ours, stop)


def _run(args: argparse.Namespace, begun: settings.Beginning, stop: threading.Event) -> int:
    with uncollected():
        ahead = _models_ahead(begun)
        # Imported so late because the models are loaded meanwhile.
        from visionedge.app import App
        from visionedge.commands.summary import StatusLine, Summary
    app = App(begun, args.environment, ahead=ahead)
    summary = Summary(app)
    try:
        app.start()
        code = app.wait(
            stop,
            seconds=args.seconds,
            every_s=_STATUS_INTERVAL_S,
            tick=StatusLine(app) if args.status else None,
        )
    finally:
        app.stop(args.grace)
    if args.status:
        print(summary.text(), flush=True)
    if args.summary:
        places.write(args.summary, "--summary", json.dumps(summary.document(), indent=2))
    return code


def _check(args: argparse.Namespace) -> None:
    """Refuse what is wrong with the options before anything runs."""
    for option, value in (("--seconds", args.seconds), ("--grace", args.grace)):
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise SettingsError(f"{option} {value:g} is no time", hint="give 0 or more")
    if args.summary:
        places.file(args.summary, "--summary")


def _from_arguments(args: argparse.Namespace) -> settings.Document:
    document: settings.Document = {}
    if args.source:
        document["cameras"] = camera_document(args.source)
    if args.model:
        document["models"] = {"default": {"path": args.model}}
    return document


def _models_ahead(begun: settings.Beginning) -> Ahead:
    """Begin to load what the cameras look with, but for what is delivered: where that lies is
    known later."""
    used = sorted({camera.model for camera in begun.settings.cameras.values()})
    models = [begun.settings.models[name] for name in used]
    wanted = [(Path(model.path), model) for model in models if not model.uri]
    return Ahead().begin(wanted, begun.folder / "models")

"""`make run`: the virtual line through model, decision, spool, SDK, a local hub and verdicts.

The module runs as its own process with the real device SDK, exactly as on a device; this
process plays the rest of the world: the hub, the cloud verifier, and edgeAgent. So what
is shown at the end, about what arrived and what was lost, is what the hub saw.
"""

import argparse
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from demo.gallery import Gallery
from demo.module import ModuleRun
from demo.oracle import LineOracle
from demo.room import Unusable, made, seconds
from devhub import DevHub
from devhub.verdicts import Sighting
from devhub.verifier import Verifier
from visionedge.runtime.signals import stop_on_signals
from visionedge.settings import PatternCamera, Settings

_POLL_S: Final = 0.2
_MODULE_GRACE_S: Final = 3.0
_MODULE_STOP_S: Final = 4.5
"""Whoever presses Ctrl-C waits no longer than five seconds."""
_REFUSED: Final = 2
"""The module's exit code for a setting, and it never ran."""


def main(argv: list[str] | None = None) -> int:
    """Run the demonstration; returns the exit code."""
    args = _parser().parse_args(argv)
    try:
        folder = made(args.folder)
        _make_sure_of(args.source)
    except Unusable as error:
        print(f"make run: {error}", file=sys.stderr)
        return 2
    stop = stop_on_signals()
    gallery = Gallery(folder / "escalations")
    oracle = _oracle(gallery)
    with DevHub() as hub, Verifier(hub, oracle, delay_s=args.verdict_delay) as verifier:
        hub.on_message(gallery.receive)
        module = ModuleRun(_arguments(args), _environment(hub, folder), folder)
        print(f"hub on {hub.address}, module {module.pid}, its log in {module.log}", flush=True)
        code = _watch(module, hub, args, stop)
        if code is None:
            code = module.stop(_MODULE_STOP_S)
        if code == _REFUSED:
            reason = module.last_words()
            print(f"make run: the module ended with {code}: {reason}", file=sys.stderr)
            return code
        _report(args, module, hub, verifier, gallery)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make run",
        description="Run the module on the virtual line against a hub on this machine.",
    )
    parser.add_argument("--seconds", type=seconds, help="end after so long (default: Ctrl-C)")
    parser.add_argument("--source", help="a video, folder, stream or device for the virtual line")
    parser.add_argument("--model", help="a bundle or ONNX file instead of models/pcb-defects")
    parser.add_argument(
        "--cut-at", type=seconds, metavar="S", help="cut the hub off after S seconds"
    )
    parser.add_argument(
        "--cut-for", type=seconds, default=20.0, metavar="S", help="and bring it back after S more"
    )
    parser.add_argument(
        "--verdict-delay", type=seconds, default=1.0, metavar="S", help="what the cloud takes"
    )
    parser.add_argument(
        "--folder", type=Path, default=Path("run"), help="spool, log, pictures (default: run)"
    )
    return parser


def _make_sure_of(source: str | None) -> None:
    """A file that is missing is no camera that may come back: say so at once."""
    if source in (None, "pattern") or "://" in source or source.startswith("/dev/"):
        return
    if not Path(source).exists():
        raise Unusable(f"there is no {source}: check the path of the video or folder")


def _arguments(args: argparse.Namespace) -> list[str]:
    arguments = ["--grace", str(_MODULE_GRACE_S)]
    for option in ("source", "model", "seconds"):
        value = getattr(args, option)
        if value is not None:
            arguments += [f"--{option}", str(value)]
    return arguments


def _environment(hub: DevHub, folder: Path) -> dict[str, str]:
    return {
        **hub.environment(),
        "VISIONEDGE__SPOOL__PATH": str(folder / "spool.db"),
        "VISIONEDGE__EGRESS__PATH": str(folder / "egress.jsonl"),
        "VISIONEDGE__TELEMETRY__INTERVAL_S": "5",
    }


def _oracle(gallery: Gallery) -> Any:  # noqa: ANN401 - devhub's Oracle
    line = next(iter(Settings().cameras.items()))
    assert isinstance(line[1], PatternCamera)
    truth = LineOracle(line[0], line[1])

    def ask(escalation: dict[str, Any]) -> Sequence[Sighting] | None:
        sightings = truth(escalation)
        if sightings is not None:
            gallery.judged(escalation["id"], sightings)
        return sightings

    return ask


def _watch(
    module: ModuleRun, hub: DevHub, args: argparse.Namespace, stop: threading.Event
) -> int | None:
    """Play the outage and edgeAgent until the module ends; None when we were told to stop."""
    began = time.monotonic()
    cut = restored = args.cut_at is None
    while not stop.wait(_POLL_S):
        code = module.poll()
        if code is not None:
            return code
        ran_s = time.monotonic() - began
        if not cut and ran_s >= args.cut_at:
            cut = True
            hub.cut()
            print(f"--- hub cut off for {args.cut_for:g} s", flush=True)
        if cut and not restored and ran_s >= args.cut_at + args.cut_for:
            restored = True
            hub.restore()
            print("--- hub is back", flush=True)
    return None


def _report(
    args: argparse.Namespace,
    module: ModuleRun,
    hub: DevHub,
    verifier: Verifier,
    gallery: Gallery,
) -> None:
    arrived = hub.ids("escalation")
    repeats = sum(arrived.values()) - len(arrived)
    counts = verifier.counts
    merged = ", ".join(f"{name} {count}" for name, count in sorted(counts.statuses.items()))
    print(f"{'at the hub':>20}  {len(arrived)} escalations, each once after dedupe by id", end="")
    print(f" ({repeats} sent again)" if repeats else "")
    print(f"{'verdicts delivered':>20}  {counts.delivered} ({merged or 'none'})")
    if arrived and args.source not in (None, "pattern"):
        print(f"{'':>20}  nobody here knows the truth of this source: the verifier gave them up")
    if module.restarts:
        print(f"{'module restarts':>20}  {module.restarts}")
    print(f"{'pictures':>20}  {gallery.write()} in {gallery.folder}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

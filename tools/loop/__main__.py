"""`make loop`: the whole loop, from a frame in doubt to a verdict merged, and its proof.

    virtual line ─► module ─► devhub ─► route ─► event hub ─► two verifier workers ─► Vision API
                      ▲                                         │
                      └── applyVerdict ◄── devhub's REST ◄──────┴──► blob storage

Nothing of ours or of Azure's SDKs is played. The module and the workers run as their own
processes, by their own commands. Played are the services: IoT Hub, Event Hubs, Custom Vision;
blob storage is Microsoft's emulator. All of it speaks TLS.

It ends with what became of each escalation, and with an error unless each is at an end that the
ledger and the module agree on, and no more calls were paid for than there were escalations.
"""

import argparse
import importlib.util
import sys
from pathlib import Path
from typing import Final

from demo.room import Unusable, emptied, seconds
from devhub.errors import DevHubError
from loop.storage import CA_FILE, StorageAbsent, find_azurite
from visionedge.runtime.signals import stop_on_signals

_ROOT: Final = Path(__file__).parents[2]


def main(argv: list[str] | None = None) -> int:
    """Run the loop; returns 0 where all held, 2 where something is to be installed first."""
    args = _parser().parse_args(argv)
    try:
        azurite = find_azurite(_ROOT)
    except StorageAbsent as error:
        print(f"loop: {error}", file=sys.stderr)
        return 2
    if importlib.util.find_spec("proton") is None:
        print("loop: python-qpid-proton is not installed: `make proton`", file=sys.stderr)
        return 2
    try:
        folder = emptied(args.folder, CA_FILE)
    except Unusable as error:
        print(f"loop: {error}", file=sys.stderr)
        return 2
    from loop.run import Loop  # It needs what was looked for above.

    stop = stop_on_signals()
    try:
        with Loop(azurite, _ROOT, folder, workers=args.workers) as loop:
            return loop.play(args.seconds, args.kill_at, stop)
    except (DevHubError, OSError) as error:
        print(f"loop: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make loop", description="The whole loop on this machine, with its proof."
    )
    parser.add_argument(
        "--seconds", type=seconds, default=20.0, help="how long the line runs (default: 20)"
    )
    parser.add_argument(
        "--kill-at", type=seconds, metavar="S", help="kill -9 a worker in mid-batch after S seconds"
    )
    parser.add_argument("--workers", type=int, default=2, help="verifiers (default: 2)")
    parser.add_argument(
        "--folder", type=Path, default=Path("run/loop"), help="logs and spool (default: run/loop)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())

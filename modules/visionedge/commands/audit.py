"""`visionedge audit`: which pictures left this device, when, why, and what was said of them.

Reads the egress ledger, which the module writes before each picture leaves; the module may
be running. For a person it prints a line a picture and a sum; `--json` gives one object a
line for a program.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from visionedge import settings
from visionedge.errors import EXIT_OK, SettingsError
from visionedge.uplink.egress import read_ledger

_SHA_CHARS: Final = 12


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "audit",
        help="list the pictures that left this device",
        description="List the pictures that left this device, from the egress ledger.",
    )
    parser.add_argument(
        "--since", metavar="TIME", help="from this time on: ISO 8601, UTC where no zone is given"
    )
    parser.add_argument("--until", metavar="TIME", help="before this time")
    parser.add_argument(
        "--ledger", type=Path, metavar="FILE", help="the ledger (default: that of the settings)"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings as JSON")
    parser.add_argument("--json", action="store_true", help="print one JSON object a picture")


def run(args: argparse.Namespace) -> int:
    """List what left; returns the exit code."""
    path = args.ledger or _configured(args)
    if not path.exists():
        raise SettingsError(f"there is no ledger {path}", hint="name it with --ledger")
    wanted = _between(time_of(args.since, "--since"), time_of(args.until, "--until"))
    outcomes: Counter[str] = Counter()
    pictures = size_bytes = 0
    damaged: list[str] = []
    for entry in read_ledger(path, wanted, lambda file, line: damaged.append(f"{file}:{line}")):
        pictures += 1
        size_bytes += int(entry.get("bytes", 0))
        outcomes[entry["outcome"] or "no verdict"] += 1
        print(json.dumps(entry) if args.json else _line(entry))
    if not args.json:
        said = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
        print(f"{pictures} pictures, {size_bytes} bytes{f': {said}' if said else ''}")
    if damaged:
        more = "" if len(damaged) == 1 else f" and {len(damaged) - 1} more"
        sys.stderr.write(
            f"visionedge: {damaged[0]}{more}: no lines of a ledger, left out (a power cut damages "
            "one; of many, check the path)\n"
        )
    return EXIT_OK


def _configured(args: argparse.Namespace) -> Path:
    layers = [
        settings.from_file(args.config) if args.config else {},
        settings.from_environment(args.environment),
    ]
    return Path(settings.resolve(layers).egress.path)


def _line(entry: dict[str, Any]) -> str:
    verdict = f"{entry['outcome']} by {entry['verifier']}" if entry["outcome"] else "no verdict"
    return (
        f"{entry['at'][:19]}  {entry.get('camera', '')}  {entry.get('reason', '')}  "
        f"to {entry.get('to', 'hub')}  "
        f"{entry.get('bytes', 0)} bytes  {entry.get('masked', 0)} masked  "
        f"sha256 {str(entry.get('sha256', ''))[:_SHA_CHARS]}  {verdict}"
    )


def time_of(text: str | None, option: str) -> datetime | None:
    """The time that an option says, UTC where it names no zone.

    Raises:
        SettingsError: it says none.
    """
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(
            f"{option}: `{text}` is no time", hint="write it as 2026-05-01 or 2026-05-01T06:00"
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _between(since: datetime | None, until: datetime | None) -> Callable[[datetime], bool]:
    def wanted(at: datetime) -> bool:
        return (since is None or at >= since) and (until is None or at < until)

    return wanted

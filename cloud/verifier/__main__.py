"""The `verifier` command: run the worker, check its settings, or count what it would cost.

The exit code is that of the error which ended it, as the table in `errors.py` says; 0 after a
signal. Whoever runs it (Container Apps, systemd) should start it again on anything but 0 and 2.
"""

import argparse
import errno
import json
import logging
import math
import os
import signal
import sys
import threading
from pathlib import Path

from verifier.build import build
from verifier.cost import Fleet, cost, report
from verifier.dataset import commands as commands_of
from verifier.errors import VerifierError
from verifier.hosts.event_hub import check, consumer, receive, store_of
from verifier.hosts.metrics import Metrics, Pages
from verifier.hosts.shelves import shelf_of
from verifier.hosts.worker import Worker
from verifier.settings import VerifierSettings, read_settings
from verifier.stores.memory import MemoryStore

INCOMPLETE = 9
"""Exit code of an upload of which the service failed a part; run again."""
CTRL_C = 130
"""What shells take for it: 128 and the number of SIGINT."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("azure").setLevel(logging.WARNING)
    try:
        code = int(options.command(options))
        sys.stdout.flush()
    except VerifierError as error:
        print(f"verifier: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\nverifier: stopped by Ctrl-C", file=sys.stderr)
        return CTRL_C
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.ENOSPC):
            raise
        return _without_output(error)
    return code


def _without_output(error: OSError) -> int:
    """The end of a command whose output nobody can have; nothing more is written to it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    # A reader that goes away, as `| head` does, has what it wanted.
    if error.errno != errno.EPIPE:
        print(f"verifier: the output cannot be written: {error.strerror}", file=sys.stderr)
    return 1


def _run(options: argparse.Namespace) -> int:
    settings = read_settings(options.settings)
    # Before the ledger: what is refused here leaves no file.
    client = consumer(settings.events, settings.store, os.environ)
    metrics = Metrics()
    store = store_of(settings.store, os.environ)
    shelf = shelf_of(settings, os.environ)
    built = build(settings, os.environ, store, observer=metrics, shelf=shelf)
    metrics.watch(built)
    worker = Worker(built, threads=settings.worker.threads, sweep_s=settings.worker.lease_s / 2)
    pages = Pages(
        settings.worker.http_host, settings.worker.http_port, metrics, lambda: worker.is_healthy
    )
    # No event: one that is set in a signal handler may be waited for with its lock held just then.
    came: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: came.append(number))
    receiving = threading.Thread(
        target=receive, args=(client, worker, settings.worker.batch), name="receive", daemon=True
    )
    pages.start()
    worker.start()
    receiving.start()
    while receiving.is_alive() and worker.is_healthy and not came:
        receiving.join(1)
    asked = bool(came)
    worker.stop()
    client.close()
    receiving.join(30)
    worker.join()
    pages.stop()
    if worker.failure:
        raise worker.failure
    return 0 if asked else 1


def _check(options: argparse.Namespace) -> int:
    settings: VerifierSettings = read_settings(options.settings)
    check(settings.events, settings.store, os.environ)
    built = build(settings, os.environ, MemoryStore(), shelf=shelf_of(settings, os.environ))
    for model, route in built.core.routes.items():
        regions = ", ".join(backend.region for backend in route.asking.regions)
        print(f"{model}: {route.backend.name} in {regions}: {', '.join(sorted(route.want))}")
    return 0


def _cost(options: argparse.Namespace) -> int:
    fleet = Fleet(
        devices=options.devices,
        rate=options.rate,
        message_bytes=options.message_bytes,
        features=options.features,
        hours=options.hours,
        price_per_1000=options.price_per_1000,
        price_per_unit=options.price_per_unit,
    )
    print(report(fleet, cost(fleet)))
    return 0


def _export(options: argparse.Namespace) -> int:
    print(commands_of.exported_as(options))
    return 0


def _upload(options: argparse.Namespace) -> int:
    uploaded = commands_of.uploaded_to(options)
    print(uploaded.told())
    return 0 if uploaded.is_complete else INCOMPLETE


def _schema(_: argparse.Namespace) -> int:
    print(json.dumps(VerifierSettings.model_json_schema(), indent=2))
    return 0


def _amount(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"{text} is no number of that: give 0 or more")
    if value > _MOST:
        raise argparse.ArgumentTypeError(f"{text} is too much: give {_MOST:.0e} at most")
    return value


def _count(text: str) -> int:
    if (value := _amount(text)) != int(value):
        raise argparse.ArgumentTypeError(f"{text} is no whole number")
    return int(value)


def _hours(text: str) -> float:
    if (value := _amount(text)) > _DAY_H:
        raise argparse.ArgumentTypeError(f"a day has {_DAY_H} hours, and not {text}")
    return value


_DAY_H = 24
_MOST = 1e12


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="verifier", description="escalation in, verdict out")
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, command, what in (
        ("run", _run, "take escalations from the event hub until stopped"),
        ("check", _check, "build all that needs no network, and say what was built"),
    ):
        added = commands.add_parser(name, help=what)
        added.add_argument("--settings", type=Path, required=True, help="JSON file")
        added.set_defaults(command=command)
    schema = commands.add_parser("schema", help="JSON Schema of the settings")
    schema.set_defaults(command=_schema)
    commands_of.add_parsers(commands, _export, _upload)
    counted = commands.add_parser("cost", help="what a fleet costs, from the metering rules")
    counted.add_argument("--devices", type=_count, required=True, help="how many")
    counted.add_argument("--rate", type=_amount, required=True, help="escalations an hour of each")
    counted.add_argument(
        "--message-bytes", type=_count, default=100 * 1024, help="of an escalation (102400)"
    )
    counted.add_argument("--features", type=_count, default=1, help="how many things are wanted")
    counted.add_argument("--hours", type=_hours, default=24, help="of work a day")
    counted.add_argument("--price-per-1000", type=_amount, default=0, help="of transactions")
    counted.add_argument("--price-per-unit", type=_amount, default=0, help="of an S1 unit a month")
    counted.set_defaults(command=_cost)
    return parser


if __name__ == "__main__":
    sys.exit(main())

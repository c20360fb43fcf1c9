"""`visionedge export`: what the cloud was asked and said, as a data set to train from.

Reads the archive of settled escalations (`escalation.archive`, off by default), which the module
writes; it may be running. The truth of a picture is its verdict. The batches for Custom Vision are
sent by `verifier upload`, which knows the project.
"""

import argparse
import errno
from collections.abc import Callable
from pathlib import Path

from visionedge import settings
from visionedge.commands import places
from visionedge.commands.audit import time_of
from visionedge.datasets.collection import Collection
from visionedge.datasets.formats import FORMATS, export, told
from visionedge.datasets.sample import Sample
from visionedge.datasets.shelf import FolderShelf
from visionedge.entities import Outcome
from visionedge.errors import EXIT_OK, SettingsError


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "export",
        help="write settled escalations as a data set",
        description="Write the archive of settled escalations as a data set: the pictures that "
        "were asked about, and what their verdicts say they show.",
    )
    parser.add_argument("--format", choices=tuple(FORMATS), required=True)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="a new or empty folder"
    )
    parser.add_argument(
        "--archive", type=Path, metavar="DIR", help="the archive (default: that of the settings)"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings as JSON")
    parser.add_argument(
        "--since", metavar="TIME", help="kept from this time on: ISO 8601, UTC if no zone is given"
    )
    parser.add_argument("--until", metavar="TIME", help="kept before this time")
    parser.add_argument("--camera", action="append", default=[], help="may be given several times")
    parser.add_argument(
        "--outcome",
        action="append",
        default=[],
        choices=[each.value for each in Outcome if each is not Outcome.EXPIRED],
        help="only these ends; corrected and missed are where the model was wrong",
    )


def run(args: argparse.Namespace) -> int:
    """Write the data set; returns the exit code.

    Raises:
        SettingsError: there is no archive, or `--out` cannot be written.
    """
    folder = args.archive or _configured(args)
    if not folder.is_dir():
        raise SettingsError(
            f"there is no archive {folder}",
            hint="set escalation.archive.enabled and wait for verdicts, or name it with --archive",
        )
    collection = Collection(FolderShelf(folder))
    try:
        if not collection.indexes():
            raise SettingsError(
                f"{folder} is no archive: there is no YYYY/MM/DD/index.jsonl below it",
                hint="wait for verdicts, or name the folder of escalation.archive.path",
            )
        written = export(collection, args.format, args.out, _wanted(args))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            full = Path(error.filename or args.out)
            raise places.unwritable(full, "--out", error.strerror, "make room") from None
        raise SettingsError(
            str(error),
            hint="name a new or empty folder with --out, and an archive that can be read",
        ) from None
    print(told(written))
    return EXIT_OK


def _configured(args: argparse.Namespace) -> Path:
    layers = [
        settings.from_file(args.config) if args.config else {},
        settings.from_environment(args.environment),
    ]
    return Path(settings.resolve(layers).escalation.archive.path)


def _wanted(args: argparse.Namespace) -> Callable[[Sample], bool]:
    since, until = time_of(args.since, "--since"), time_of(args.until, "--until")

    def wanted(sample: Sample) -> bool:
        return (
            (since is None or sample.kept_at >= since)
            and (until is None or sample.kept_at < until)
            and (not args.camera or sample.escalation.camera in args.camera)
            and (not args.outcome or sample.outcome in args.outcome)
        )

    return wanted

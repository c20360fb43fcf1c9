"""`verifier export` and `verifier upload`: from the sink to a data set, and on to a project.

Two steps, so that somebody can look at the pictures in between: a verdict is a proposal.
"""

import argparse
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from verifier.agreement import Agreement
from verifier.build import secret
from verifier.dataset.custom_vision_upload import Upload, Uploaded
from verifier.errors import SettingsRefused
from verifier.hosts.shelves import shelf_of
from verifier.http import Service
from verifier.identity import key
from verifier.settings import read_settings
from visionedge.datasets.collection import Collection
from visionedge.datasets.formats import FORMATS, export, told
from visionedge.datasets.sample import Sample

Command = Callable[[argparse.Namespace], int]


def add_parsers(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    run_export: Command,
    run_upload: Command,
) -> None:
    """Declare both commands and their arguments."""
    exported = commands.add_parser("export", help="write what was kept as a data set")
    exported.add_argument("--settings", type=Path, required=True, help="JSON file")
    exported.add_argument("--format", choices=tuple(FORMATS), required=True)
    exported.add_argument("--out", type=Path, required=True, help="a new or empty folder")
    exported.add_argument(
        "--since", type=_time, help="kept from this time on, ISO 8601; UTC without a zone"
    )
    exported.add_argument("--until", type=_time, help="kept before this time")
    exported.add_argument(
        "--device", action="append", default=[], help="may be given several times"
    )
    exported.add_argument(
        "--agreement",
        action="append",
        default=[],
        choices=get_args(Agreement),
        help="only these; correct and reject are where the model was wrong",
    )
    exported.set_defaults(command=run_export)
    uploaded = commands.add_parser("upload", help="send an export to a Custom Vision project")
    uploaded.add_argument("folder", type=Path, help="an export in the format custom-vision")
    uploaded.add_argument("--endpoint", required=True, help="https://… of the training resource")
    uploaded.add_argument("--project", required=True, help="its id")
    uploaded.add_argument("--key-env", required=True, help="variable with the training key")
    uploaded.set_defaults(command=run_upload)


def exported_as(options: argparse.Namespace) -> str:
    """Write the data set, and tell what was written.

    Raises:
        SettingsRefused: nothing is kept by these settings, or it cannot be read or written.
    """
    settings = read_settings(options.settings)
    shelf = shelf_of(settings, os.environ)
    if shelf is None:
        raise SettingsRefused("dataset: no samples are kept", hint="give a container or a folder")
    collection = Collection(shelf)
    try:
        return told(export(collection, options.format, options.out, _wanted(options)))
    except OSError as error:
        raise SettingsRefused(f"export: {error}") from None


def uploaded_to(options: argparse.Namespace) -> Uploaded:
    """Send what was not taken yet."""
    credential = key("Training-Key", secret(os.environ, options.key_env))
    return Upload(Service(options.endpoint, credential), options.project, options.folder).run()


def _wanted(options: argparse.Namespace) -> Callable[[Sample], bool]:
    def wanted(sample: Sample) -> bool:
        return (
            (options.since is None or sample.kept_at >= options.since)
            and (options.until is None or sample.kept_at < options.until)
            and (not options.device or sample.device in options.device)
            and (not options.agreement or sample.verdict.agreement in options.agreement)
        )

    return wanted


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)

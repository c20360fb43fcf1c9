"""`visionedge manifest`: from a deployment template to what the hub takes.

It fills in names from an env file and the environment, packs create options as edgeAgent
wants them, and looks for what hub, device or module would refuse, so that a fault is a line
here and not a silent device. With `--check` it asks the public schemas too; with `--diff`
it tells what would change against a manifest that is in use.

The manifest goes to stdout or, readable by its owner only, to `--out`: it holds the
registry's password. Everything for people goes to stderr.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Final

from visionedge.commands import places
from visionedge.deployment import limits, schemas, skeleton
from visionedge.deployment.differences import differences
from visionedge.deployment.manifest import (
    NOTHING,
    image_references,
    is_layered,
    is_template,
    layered_onto,
    rendered,
)
from visionedge.deployment.placeholders import Document, read_env_file, read_json
from visionedge.errors import EXIT_OK, SettingsError

_PLATFORMS: Final = ("amd64", "arm64v8")


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "manifest",
        help="make and check a deployment manifest",
        description="Make a deployment manifest of a template. Exits with 2 and the path of each "
        "fault if the hub, the device or the module would refuse it.",
    )
    parser.add_argument("template", type=Path, help="such as deployment.template.json")
    parser.add_argument(
        "--env-file", type=Path, metavar="FILE", help="NAME=VALUE lines; they win over the "
        "environment"
    )  # fmt: skip
    parser.add_argument(
        "--platform", choices=_PLATFORMS, default="amd64", help="default: %(default)s"
    )
    parser.add_argument(
        "--image",
        action="append",
        default=[],
        metavar="MODULE=REFERENCE",
        help="an image, best by its digest, instead of the one that module.json names",
    )
    parser.add_argument(
        "--base", type=Path, metavar="FILE", help="what a layered deployment lies upon"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="instead of stdout")
    parser.add_argument(
        "--check", type=Path, metavar="DIR", help="ask the public schemas in this folder"
    )
    parser.add_argument(
        "--diff",
        type=Path,
        metavar="FILE",
        help="print what changes against this manifest, and no manifest",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code.

    Raises:
        SettingsError: names without a value, or faults; each with its path.
    """
    values = {**args.environment, **(read_env_file(args.env_file) if args.env_file else {})}
    template = skeleton.check(args.template, read_json(args.template))
    manifest = _rendered(args.template, template, args, values)
    base = _whole(args.base, "--base") if args.base else None
    final_base = _rendered(args.base, base, args, values) if base else NOTHING
    _check_images(args.image, template, base)
    layered = is_layered(manifest)
    whole = layered_onto(final_base, manifest) if layered else manifest
    found = limits.faults(whole)
    if args.check:
        if layered and base is None:
            raise SettingsError(
                "a layered deployment is no whole configuration", hint="name its --base"
            )
        if is_template(template):
            described = layered_onto(base or NOTHING, template) if layered else template
            found += schemas.faults(described, args.check, template=True)
        found += schemas.faults(whole, args.check, template=False)
    if found:
        lines = "\n  ".join(found)
        raise SettingsError(f"{args.template} would be refused:\n  {lines}\n", hint="mend them")
    if args.diff:
        _print_differences(_whole(args.diff, "--diff"), manifest)
    else:
        _write(manifest, args.out)
    return EXIT_OK


def _rendered(
    path: Path, document: Document, args: argparse.Namespace, values: dict[str, str]
) -> Document:
    images = image_references(path, args.platform)
    for given in args.image:
        module, separator, reference = given.partition("=")
        if not separator or not reference:
            raise SettingsError(f"--image {given} names no image", hint="write MODULE=REFERENCE")
        images[f"MODULES.{module}"] = reference
    return rendered(document, values, images)


def _check_images(given: list[str], *documents: Document | None) -> None:
    """Refuse an image for a module that no template names: it would be forgotten in silence."""
    texts = " ".join(json.dumps(document) for document in documents if document)
    for image in given:
        module = image.partition("=")[0]
        if f"${{MODULES.{module}}}" not in texts:
            raise SettingsError(
                f"--image {image}: the template takes no image for `{module}`",
                hint="name a module whose image is ${MODULES.NAME} there",
            )


def _whole(path: Path, option: str) -> Document:
    """What an option names to be put below, or beside: a manifest."""
    document = skeleton.check(path, read_json(path))
    if "modulesContent" not in document:
        raise SettingsError(
            f"{option}: {path} is no deployment manifest: it has no `modulesContent`",
            hint="name a manifest or its template",
        )
    return document


def _print_differences(old: Document, new: Document) -> None:
    for line in differences(old, new):
        print(line)
    sys.stdout.flush()


def _write(manifest: Document, out: Path | None) -> None:
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    if out is None:
        print(text, end="", flush=True)
        return
    # From its first moment on: the registry's password is in it.
    places.write(out, "--out", text, 0o600)
    sys.stderr.write(f"wrote {out}\n")

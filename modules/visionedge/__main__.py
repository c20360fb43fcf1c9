"""`python -m visionedge` and `visionedge`: arguments, environment, exit codes.

Without a command it runs the module, as the container does. Errors of ours end as one
line that says what to do, with the exit code of their kind; anything else is a bug and
ends with a traceback and 1.
"""

import argparse
import logging
import os
import sys
from importlib import import_module
from importlib.metadata import version
from typing import Final

# Before anything imports onnxruntime: its Linux wheels report to Microsoft unless told not
# to before they initialise (onnxruntime 1.29 and later, Privacy.md).
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

from visionedge.errors import EXIT_UNEXPECTED, VisionEdgeError

COMMANDS: Final = {
    "replay": "replay",
    "run": "run",
    "audit": "audit",
    "calibrate": "calibrate",
    "predict": "predict",
    "inspect": "inspect",
    "verify": "verify",
    "import": "import_",
    "quantize": "quantize",
    "evaluate": "evaluate",
    "export": "export",
    "tune": "tune",
    "manifest": "manifest",
}
"""Commands by name, and the file of each in `visionedge.commands`. Only the one that is asked
for is imported: on a device the module's own start waits for every import."""


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or (arguments[0].startswith("--") and arguments[0] not in _OWN):
        arguments = ["run", *arguments]
    asked = [name for name in COMMANDS if name == arguments[0]]
    parsed = _parser(asked or list(COMMANDS)).parse_args(arguments)
    try:
        return int(parsed.run(parsed))
    except VisionEdgeError as error:
        sys.stderr.write(f"visionedge: {error}\n")
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output went away, as `| head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_UNEXPECTED
    except Exception:
        logging.getLogger("visionedge").critical("unexpected error", exc_info=True)
        return EXIT_UNEXPECTED


_OWN: Final = ("--help", "--version")


def _parser(names: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="visionedge",
        description="On-device vision that sends upstream only what it doubts. "
        "Without a command it runs the module.",
    )
    # The environment is read here and handed down, so that nothing below depends on it unseen.
    parser.set_defaults(environment=os.environ)
    parser.add_argument("--version", action="version", version=version("visionedge"))
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in names:
        module = import_module(f"visionedge.commands.{COMMANDS[name]}")
        module.add_parser(commands)
        commands.choices[name].set_defaults(run=module.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())

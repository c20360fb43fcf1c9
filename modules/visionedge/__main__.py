"""`python -m visionedge` and `visionedge`: arguments, environment, exit codes.

Without a command it runs the module, as the container does. Errors of ours end as one
line that says what to do, with the exit code of their kind; anything else is a bug and
ends with a traceback and 1.
"""

import argparse
import errno
import logging
import os
import sys
import threading
from contextlib import suppress
from importlib import import_module
from importlib.metadata import version
from io import BufferedWriter, FileIO, TextIOWrapper
from typing import TYPE_CHECKING, Final

# Before anything imports onnxruntime: its Linux wheels report to Microsoft unless told not
# to before they initialise (onnxruntime 1.29 and later, Privacy.md).
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# Before anything imports numpy: its OpenBLAS starts a thread a core, which spins for work that
# nobody here has, and on a busy device the start waits for it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Before anything imports pydantic: it searches all that is installed for plugins of its own, to
# which it would show every setting and message.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

from visionedge.errors import EXIT_UNEXPECTED, SettingsError, VisionEdgeError
from visionedge.runtime.collector import uncollected

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

COMMANDS: Final = {
    "run": "run",
    "inspect": "inspect",
    "predict": "predict",
    "evaluate": "evaluate",
    "calibrate": "calibrate",
    "quantize": "quantize",
    "tune": "tune",
    "import": "import_",
    "verify": "verify",
    "replay": "replay",
    "audit": "audit",
    "export": "export",
    "manifest": "manifest",
}
"""Commands by name, in the order in which somebody needs them, and the file of each in
`visionedge.commands`. Only the one that is asked for is imported: on a device the module's own
start waits for every import."""


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or (arguments[0].startswith("--") and arguments[0] not in _OWN):
        arguments = ["run", *arguments]
    asked = [name for name in COMMANDS if name == arguments[0]]
    try:
        with uncollected():
            parser = _parser(asked or list(COMMANDS))
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("visionedge"):
            raise
        return _without_package(error)
    parsed, unknown = parser.parse_known_args(arguments)
    if unknown:
        # By the command's own parser, whose usage is the one that helps.
        parsed.refuse(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        return int(parsed.run(parsed))
    except VisionEdgeError as error:
        sys.stderr.write(f"visionedge: {error}\n")
        return error.exit_code
    except _OutputLost as error:
        return _without_output(error)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return _without_room(error)
        if isinstance(error, OSError) and error.errno in _OF_THE_NAME and error.filename:
            return _without_file(error)
        logging.getLogger("visionedge").critical("unexpected error", exc_info=True)
        return EXIT_UNEXPECTED


def console() -> None:
    """The command line: `main`, and then the end of the process, whatever other threads do.

    The interpreter waits for the pools of the device SDK, daemons or not: for a minute where the
    hub takes connections and says nothing, and for ever where a call of it never returns. A
    process that was to be restarted must not hang in its end, with its line standing still.
    """
    _ready_outputs()
    try:
        code = main()
    except KeyboardInterrupt:
        sys.stderr.write("\nvisionedge: stopped by Ctrl-C\n")
        code = _EXIT_CTRL_C
    # Tells what the log has left out; an end without the interpreter's would not.
    logging.shutdown()
    try:
        sys.stdout.flush()
    except _OutputLost as error:
        lost = _without_output(error)
        code = code or lost
    with suppress(OSError):
        sys.stderr.flush()
    if threading.active_count() > 1:
        os._exit(code)
    sys.exit(code)


def _ready_outputs() -> None:
    """Outputs that take whatever is printed.

    One that was closed becomes one that shows nothing: otherwise the next file that is opened, such
    as the spool, gets its number, and what a library prints lands in it. A character that the
    terminal does not have, in a label or the name of a file, is shown by its number.
    """
    for name in ("stdout", "stderr"):
        # Python leaves None in the place of what was closed.
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            setattr(sys, name, os.fdopen(nowhere, "w", closefd=False))
    if isinstance(sys.stdout, TextIOWrapper):
        raw = _Output(sys.stdout.fileno(), "w", closefd=False)
        sys.stdout = TextIOWrapper(
            # Python's own has no buffer either where it writes through.
            raw if sys.stdout.write_through else BufferedWriter(raw),
            encoding=sys.stdout.encoding,
            errors="backslashreplace",
            line_buffering=sys.stdout.line_buffering,
            write_through=sys.stdout.write_through,
        )


class _OutputLost(OSError):
    """What was printed cannot be written. A file that fails has the same number and often no name,
    and leaves what was printed as it is."""


class _Output(FileIO):
    """Stdout, which says that it is stdout where it fails."""

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise _OutputLost(error.errno, error.strerror) from None


def _without_output(error: OSError) -> int:
    """The end of a command whose output nobody can have; nothing more is written to it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    # A reader that goes away, as `| head` does, has what it wanted.
    if error.errno != errno.EPIPE:
        sys.stderr.write(
            f"visionedge: the output cannot be written: {error.strerror} "
            "(make room, or write it elsewhere)\n"
        )
    return EXIT_UNEXPECTED


def _without_room(error: OSError) -> int:
    """The end of a command that a full disk ended, and that did not say so by itself."""
    sys.stderr.write(
        f"visionedge: {error.filename or 'a file'} cannot be written: {error.strerror} "
        "(make room; TMPDIR names the folder of temporary files)\n"
    )
    return EXIT_UNEXPECTED


def _without_package(error: ModuleNotFoundError) -> int:
    """The end of a command in an installation that only has the messages."""
    sys.stderr.write(f"visionedge: {error.name} is not installed (pip install '.[edge]')\n")
    return SettingsError.exit_code


def _without_file(error: OSError) -> int:
    """The end of a command that was given a name it cannot look at."""
    sys.stderr.write(
        f"visionedge: cannot look at {error.filename}: {error.strerror} "
        "(check the name, and the permissions of all folders on the way)\n"
    )
    return SettingsError.exit_code


_OWN: Final = ("--help", "--version")
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)
_OF_THE_NAME: Final = (errno.EACCES, errno.ENAMETOOLONG, errno.ENOTDIR)
_EXIT_CTRL_C: Final = 130
"""What shells take for it: 128 and the number of SIGINT."""


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
        commands.choices[name].set_defaults(run=module.run, refuse=commands.choices[name].error)
    return parser


if __name__ == "__main__":
    console()

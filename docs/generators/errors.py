"""docs/reference/errors.md: the tree of errors and the exit codes of the process."""

from collections.abc import Iterator

from docs.generators.markdown import page, table

from visionedge import errors
from visionedge.errors import EXIT_OK, EXIT_STUCK, EXIT_UNEXPECTED, VisionEdgeError

_INTRODUCTION = """
The process ends with the code of the error that ended it, and edgeAgent restarts the
module as its `restartPolicy` says. Most errors never end it: a camera that is away is
tried again, a frame that fails is counted, a bad setting is refused and the old one stays.
In the log an error is followed by what to do, in brackets.
"""


def errors_page() -> str:
    """The page."""
    codes = [
        (str(EXIT_OK), "ended as asked: SIGTERM, Ctrl-C, or the end of its time"),
        (
            str(EXIT_UNEXPECTED),
            "a bug: the log holds the traceback; or a full disk, which is told in one line",
        ),
        *((str(e.exit_code), f"`{e.__name__}`") for e in _children(VisionEdgeError)),
        (str(EXIT_STUCK), "a native call did not return, or the link could not be rebuilt"),
    ]
    listed = [
        (f"`{e.__name__}`", f"`{e.__bases__[0].__name__}`", str(e.exit_code), _first_line(e))
        for e in _below(VisionEdgeError)
    ]
    return page(
        "Errors and exit codes",
        "modules/visionedge/errors.py",
        _INTRODUCTION,
        f"## The tree\n\n```text\n{_drawing()}\n```",
        "## Exit codes\n\n" + table(("Code", "Why the process ended"), codes),
        "## All errors\n\n" + table(("Error", "Is a", "Exit code", "What it means"), listed),
    )


def _below(error: type[VisionEdgeError]) -> Iterator[type[VisionEdgeError]]:
    for child in _children(error):
        yield child
        yield from _below(child)


def _children(error: type[VisionEdgeError]) -> list[type[VisionEdgeError]]:
    """Those of the tree itself: who imports it may add errors of their own below it."""
    return [child for child in error.__subclasses__() if child.__module__ == errors.__name__]


def _first_line(error: type[VisionEdgeError]) -> str:
    return (error.__doc__ or "").strip().splitlines()[0]


def _drawing() -> str:
    lines = (errors.__doc__ or "").splitlines()
    return "\n".join(line[4:] for line in lines if line.startswith("    "))

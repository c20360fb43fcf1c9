"""The `devhub` command: a hub in this terminal, and the words to talk to it from another."""

import argparse
import os
import shlex
import signal
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from devhub.commands import COMMANDS, environment_lines
from devhub.control import Answer, ControlServer, NoHub, ask, default_socket
from devhub.errors import DevHubError
from devhub.hub import DevHub
from devhub.script import read
from devhub.verifier import Verifier, confirm

_DESCRIPTION = """\
A loopback IoT Hub, edgeHub and workload API for modules that use the real Azure IoT device SDK.

  devhub start                   start a hub here; every event is a line
  eval "$(devhub env)"           in another shell: point a module at it, and run the module
  devhub desired '{"decision": {"accept": 0.6}}'    push desired properties
  devhub call ping '{}'          call a direct method
  devhub cut                     take the link away; `devhub restore` gives it back
  devhub fault lose_puback=1     lose the next acknowledgement; `devhub fault` lists all faults
  devhub row lost-session        let a row of the behaviour table happen; `devhub row` lists them
  devhub play storm.toml         play faults over time; `devhub start --script` from the start on

The same words can be typed into the terminal of `devhub start`.
"""


_EXIT_CTRL_C = 130
"""What shells take for it: 128 and the number of SIGINT."""


class _Parser(argparse.ArgumentParser):
    """Raises instead of exiting, so that a slip on the hub's own terminal does not end it."""

    def error(self, message: str) -> "None":  # type: ignore[override]
        raise ValueError(f"{message}\n{self.format_usage().strip()}")


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command."""
    parser = _Parser(
        prog="devhub",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--control",
        type=Path,
        default=default_socket(),
        metavar="SOCKET",
        help="the control socket, when several hubs run (default: %(default)s)",
    )
    words = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    start = words.add_parser("start", help="start a hub and serve until Ctrl-C or `devhub stop`")
    start.add_argument("--device", default="line-1", help="default %(default)s")
    start.add_argument(
        "-m", "--module", action="append", help="can be given again; default visionedge"
    )
    start.add_argument("--address", help="a 127.x.y.z to serve on; default any free 127.0.0.x")
    start.add_argument("--env-file", type=Path, help="also write the environment to this file")
    start.add_argument(
        "--verify",
        type=float,
        metavar="S",
        help="answer escalations after so many seconds by confirming the module's prediction",
    )
    start.add_argument(
        "--script", type=Path, metavar="FILE", help="play these faults over time, TOML or JSON"
    )
    start.add_argument("-q", "--quiet", action="store_true", help="print no events")
    words.add_parser("stop", help="stop the hub")
    for word, command in COMMANDS.items():
        command.add_arguments(words.add_parser(word, help=command.help, description=command.help))
    for each in words.choices.values():
        # Behind the command as well, where most people write it; in front it has its default.
        each.add_argument(
            "--control", type=Path, default=argparse.SUPPRESS, metavar="SOCKET",
            help="the control socket, when several hubs run",
        )  # fmt: skip
    return parser


def main(argv: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    words = sys.argv[1:] if argv is None else argv
    try:
        arguments = build_parser().parse_args(words)
    except ValueError as error:
        print(f"devhub: {error}", file=sys.stderr)
        return 2
    if arguments.command == "start":
        return _start(arguments)
    if arguments.command == "play":
        # The hub may run in another folder.
        words = ["play", str(arguments.file.absolute())]
    try:
        answer = ask(arguments.control, words)
    except NoHub as error:
        print(f"devhub: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("\ndevhub: stopped by Ctrl-C", file=sys.stderr)
        return _EXIT_CTRL_C
    if answer.text:
        try:
            print(answer.text, file=sys.stdout if answer.ok else sys.stderr, flush=True)
        except BrokenPipeError:
            # A reader that goes away, as `| head` does, has what it wanted.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0 if answer.ok else 1


def _start(arguments: argparse.Namespace) -> int:
    modules = arguments.module or ["visionedge"]
    try:
        script = read(arguments.script) if arguments.script else None
        stop = _stop_on_signals()
        with ExitStack() as stack:
            hub = DevHub(
                arguments.device,
                modules[0],
                more_modules=tuple(modules[1:]),
                address=arguments.address,
            )
            if not arguments.quiet:
                hub.on_event(lambda event: print(event, flush=True))
            stack.enter_context(hub)
            stack.enter_context(
                ControlServer(arguments.control, lambda words: _answer(hub, words, stop))
            )
            if arguments.verify is not None:
                stack.enter_context(Verifier(hub, confirm, delay_s=arguments.verify))
            _greet(hub, arguments)
            if script:
                hub.play(script)
            if _may_read_stdin():
                threading.Thread(target=_read_lines, args=(hub, stop), daemon=True).start()
            stop.wait()
    except (DevHubError, OSError) as error:
        print(f"devhub: {error}", file=sys.stderr)
        return 1
    return 0


def _greet(hub: DevHub, arguments: argparse.Namespace) -> None:
    if arguments.env_file:
        arguments.env_file.write_text(
            environment_lines(hub, None, "file", development=False) + "\n"
        )
    control = "" if arguments.control == default_socket() else f"--control {arguments.control} "
    print(
        f"devhub serves {hub.address}:8883 as device {hub.device_id}.\n"
        f'In another shell, run a module after: eval "$(devhub {control}env)"',
        flush=True,
    )


def _stop_on_signals() -> threading.Event:
    """An event that Ctrl-C and SIGTERM set, from before the hub starts."""
    stop = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    return stop


def _may_read_stdin() -> bool:
    """False for a job in the background, which the terminal would stop for reading."""
    if not sys.stdin.isatty():
        return True
    return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()


def _read_lines(hub: DevHub, stop: threading.Event) -> None:
    for line in sys.stdin:
        try:
            words = shlex.split(line)
        except ValueError as error:
            print(f"devhub: {error}", flush=True)
            continue
        if words:
            print(_answer(hub, words, stop).text, flush=True)


def _answer(hub: DevHub, words: list[str], stop: threading.Event) -> Answer:
    try:
        arguments = build_parser().parse_args(words)
        if arguments.command == "stop":
            stop.set()
            return Answer(True, "stopping")
        if arguments.command == "start":
            return Answer(False, "a hub runs here already")
        return Answer(True, COMMANDS[arguments.command].run(hub, arguments))
    except (DevHubError, ValueError) as error:
        return Answer(False, f"devhub: {error}")
    except SystemExit:  # --help has printed itself
        return Answer(True, "")


if __name__ == "__main__":
    sys.exit(main())

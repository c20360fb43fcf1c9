"""What one can ask of a running hub: the words of the `devhub` command and what each does.

One table holds every command with its arguments and its function, so a line typed into the hub's
terminal, a call of `devhub` from another shell and the help text cannot differ. A function takes
the hub and the parsed arguments and returns the text to print.
"""

import argparse
import base64
import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from devhub.faults import Faults, FaultValue
from devhub.hub import DevHub
from devhub.rows import ROWS
from devhub.script import read

Arguments = argparse.Namespace
_TEXT_PREVIEW_BYTES = 2000
_LONGEST_CALL_S = 300
"""IoT Hub waits no longer for a method's answer."""


@dataclass(frozen=True, slots=True)
class Command:
    """One word: what it does, its arguments, its help."""

    run: Callable[[DevHub, Arguments], str]
    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None] = lambda _parser: None


def environment_lines(hub: DevHub, module_id: str | None, form: str, *, development: bool) -> str:
    """The variables of a module, as shell exports or as lines of an env file."""
    variables = (hub.development_environment if development else hub.environment)(module_id)
    if form == "file":
        return "\n".join(f"{name}={value}" for name, value in variables.items())
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())


def _env(hub: DevHub, arguments: Arguments) -> str:
    return environment_lines(
        hub, arguments.module, arguments.format, development=arguments.development
    )


def _status(hub: DevHub, _arguments: Arguments) -> str:
    return json.dumps(hub.status(), indent=2)


def _cut(hub: DevHub, _arguments: Arguments) -> str:
    hub.cut()
    return "links dropped, TCP refused until `restore`"


def _restore(hub: DevHub, _arguments: Arguments) -> str:
    hub.restore()
    return "TCP accepted"


def _drop(hub: DevHub, _arguments: Arguments) -> str:
    hub.drop_links()
    return "links dropped"


def _lose_sessions(hub: DevHub, _arguments: Arguments) -> str:
    hub.lose_sessions()
    return "sessions forgotten, links dropped"


def _rotate_ca(hub: DevHub, _arguments: Arguments) -> str:
    hub.rotate_authority()
    return f"new authority in {hub.ca_file}, links dropped"


def _fault(hub: DevHub, arguments: Arguments) -> str:
    changes = dict(map(_fault_change, arguments.changes))
    faults = hub.set_faults(**changes) if changes else hub.faults
    return json.dumps(faults.active() if changes else _all_faults(faults), indent=2)


def _all_faults(faults: Faults) -> dict[str, FaultValue]:
    return {each.name: getattr(faults, each.name) for each in fields(faults)}


def _fault_change(text: str) -> tuple[str, FaultValue]:
    name, _, value = text.partition("=")
    words: dict[str, FaultValue] = {
        "": True,
        "on": True,
        "true": True,
        "off": False,
        "false": False,
    }
    name = name.replace("-", "_")
    if value.lower() in words:
        return name, words[value.lower()]
    for number in (int, float):
        try:
            return name, number(value)
        except ValueError:
            continue
    return name, value


def _heal(hub: DevHub, _arguments: Arguments) -> str:
    hub.clear_faults()
    return "no faults"


def _row(hub: DevHub, arguments: Arguments) -> str:
    if not arguments.name:
        return "\n".join(f"{name:20} {row.says}" for name, row in ROWS.items())
    row = ROWS[arguments.name]
    row.begin(hub)
    return f"{row.says}: {json.dumps(hub.faults.active()) if row.faults else 'done'}"


def _play(hub: DevHub, arguments: Arguments) -> str:
    script = read(arguments.file)
    hub.play(script)
    again = f", every {script.every_s:g} s" if script.every_s else ""
    return f"plays {len(script.steps)} step{'s' * (len(script.steps) > 1)}{again}"


def _twin(hub: DevHub, arguments: Arguments) -> str:
    return json.dumps(hub.twin(arguments.module), indent=2)


def _desired(hub: DevHub, arguments: Arguments) -> str:
    document = _json(arguments.json)
    if not isinstance(document, dict):
        raise ValueError("desired properties are a JSON object, such as '{\"threshold\": 0.6}'")
    change = hub.replace_desired if arguments.replace else hub.patch_desired
    return f"version {change(document, arguments.module)}"


def _call(hub: DevHub, arguments: Arguments) -> str:
    response = hub.invoke_method(
        arguments.method, _json(arguments.json), arguments.timeout, arguments.module
    )
    return json.dumps({"status": response.status, "payload": response.payload}, indent=2)


def _send(hub: DevHub, arguments: Arguments) -> str:
    properties = {}
    for each in arguments.property:
        name, equals, value = each.partition("=")
        if not (name and equals):
            raise ValueError(f"--property {each!r} is not NAME=VALUE")
        properties[name] = value
    hub.send_input(arguments.input, arguments.body.encode("utf-8"), properties, arguments.module)
    return f"stored; {hub.undelivered_inputs(arguments.module)} not yet acknowledged"


def _messages(hub: DevHub, arguments: Arguments) -> str:
    if arguments.last < 0:
        raise ValueError(f"--last {arguments.last} are none: give 0 or more")
    kept = hub.messages(arguments.output, arguments.module)
    newest = kept[-arguments.last :] if arguments.last else []
    return "\n".join(
        json.dumps(
            {
                "id": each.id,
                "module": each.module_id,
                "output": each.output,
                "received_at": each.received_at.isoformat(timespec="milliseconds"),
                "content_type": each.content_type,
                "properties": dict(each.properties),
                "size_bytes": each.size_bytes,
                **_body(each.body, whole=arguments.whole),
            },
            ensure_ascii=False,
        )
        for each in newest
    )


def _body(body: bytes, *, whole: bool) -> dict[str, str]:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(body).decode("ascii")} if whole else {}
    return {"body": text if whole else text[:_TEXT_PREVIEW_BYTES]}


# Any: whatever JSON was typed.
def _json(text: str) -> Any:  # noqa: ANN401
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no JSON: {error}") from error


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= _LONGEST_CALL_S:
        raise argparse.ArgumentTypeError(f"{text} is no time to wait: give 1 to {_LONGEST_CALL_S}")
    return seconds


def _module_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-m", "--module", help="the module; by default the hub's first")


def _env_arguments(parser: argparse.ArgumentParser) -> None:
    _module_option(parser)
    parser.add_argument(
        "--format", choices=("shell", "file"), default="shell", help="export lines, or NAME=VALUE"
    )
    parser.add_argument(
        "--development",
        action="store_true",
        help="the connection string that the SDK takes outside of IoT Edge, with no workload API",
    )


def _fault_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "changes",
        nargs="*",
        metavar="NAME[=VALUE]",
        help="such as lose_puback=1, latency_s=0.2 or silent_cloud; none lists them all",
    )


def _row_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", nargs="?", choices=[*ROWS], metavar="ROW", help="none lists them all"
    )


def _play_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="TOML or JSON")


def _desired_arguments(parser: argparse.ArgumentParser) -> None:
    _module_option(parser)
    parser.add_argument("json", metavar="JSON", help="a patch; null removes a property")
    parser.add_argument("--replace", action="store_true", help="JSON is the whole document")


def _call_arguments(parser: argparse.ArgumentParser) -> None:
    _module_option(parser)
    parser.add_argument("method", metavar="METHOD")
    parser.add_argument("json", metavar="JSON", nargs="?", default="null", help="the payload")
    parser.add_argument("--timeout", type=_seconds, default=30.0, metavar="S", help="default 30")


def _send_arguments(parser: argparse.ArgumentParser) -> None:
    _module_option(parser)
    parser.add_argument("input", metavar="INPUT")
    parser.add_argument("body", metavar="BODY", help="text; sent as UTF-8")
    parser.add_argument(
        "-p",
        "--property",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an application property; $.ct is the content type, $.ce its encoding",
    )


def _messages_arguments(parser: argparse.ArgumentParser) -> None:
    _module_option(parser)
    parser.add_argument("-o", "--output", help="of this output only")
    parser.add_argument("-n", "--last", type=int, default=10, metavar="N", help="default 10")
    parser.add_argument("--whole", action="store_true", help="bodies uncut; base64 if no text")


COMMANDS: Final[dict[str, Command]] = {
    "env": Command(_env, 'print the environment of a module: eval "$(devhub env)"', _env_arguments),
    "status": Command(_status, "print what is connected, counted and broken, as JSON"),
    "messages": Command(
        _messages, "print the newest messages, one JSON a line", _messages_arguments
    ),
    "twin": Command(_twin, "print a module twin", _module_option),
    "desired": Command(_desired, "change desired properties and push them", _desired_arguments),
    "call": Command(_call, "call a direct method and print the answer", _call_arguments),
    "send": Command(_send, "send a message to an input", _send_arguments),
    "cut": Command(_cut, "drop every link and refuse TCP"),
    "restore": Command(_restore, "accept TCP again"),
    "drop": Command(_drop, "drop every link once"),
    "lose-sessions": Command(_lose_sessions, "forget sessions, as re-creating edgeHub does"),
    "rotate-ca": Command(_rotate_ca, "make a new authority and certificate"),
    "fault": Command(_fault, "set faults, or list them", _fault_arguments),
    "row": Command(_row, "let a row of the behaviour table happen, or list them", _row_arguments),
    "play": Command(_play, "play a script of faults over time", _play_arguments),
    "heal": Command(_heal, "put every fault to rest"),
}

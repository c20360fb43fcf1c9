"""The routes of edgeHub, told from what it takes for none and from what never gets anywhere.

A route that edgeHub cannot read, or whose source no message has, is no error on the device:
its messages stay there, or are dropped.

A source is compared as edgeHub does it: the first part of a message's address, in whatever
case, with `*` and `/` at its end left out.

Source: Azure/iotedge, edge-hub, `Route.g4`, `EndpointFactory`, `BaseMessageSource`; IoT Edge
docs, "Learn how to deploy modules and establish routes".
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, NamedTuple

from visionedge.entities import Kind

INPUT: Final = "frames"
"""Our module's only input; As `visionedge.inputs` has it, which needs the libraries of cameras."""
_ROUTE: Final = re.compile(
    r"\s*(?:SELECT\s*\*\s*)?FROM\s+(?P<source>/\S*)\s+(?:WHERE\s+\S.*\s+)?INTO\s+(?P<sink>\S.*?)\s*",
    re.IGNORECASE | re.DOTALL,
)
_ENDPOINT: Final = re.compile(
    r"BrokeredEndpoint\s*\(\s*(?P<quote>[\"'])\s*/?modules/(?P<module>[^/\s]+)/inputs/"
    r"(?P<input>[^/\s]+?)/?\s*(?P=quote)\s*\)",
    re.IGNORECASE,
)
_ROOTS: Final = ("", "messages", "twinchangenotifications")
_BELOW_MESSAGES: Final = ("", "modules", "events")
_LONGEST: Final = ("messages", "modules", "NAME", "outputs", "OUTPUT")
_FORM: Final = "FROM /messages/... [WHERE ...] INTO $upstream"

_MOST: Final = {"priority": 9, "timeToLiveSecs": 2**32 - 1}


class Route(NamedTuple):
    """One route in its parts."""

    source: tuple[str, ...]
    """What lies between its slashes, without a `*` at its end."""
    module: str
    """Where it leads; empty for `$upstream`."""
    input: str


def faults(path: str, routes: Mapping[str, Any], modules: Collection[str], ours: str) -> list[str]:
    """`path.NAME: what is wrong` of each route that leads nowhere or comes from nowhere.

    Args:
        path: of `routes` in the manifest.
        routes: by name; a text, or an object that holds it.
        modules: that are deployed.
        ours: the name of our module, whose outputs and inputs are known.
    """
    found = []
    for name, route in routes.items():
        parsed = _parsed(_text(route))
        told = [parsed] if isinstance(parsed, str) else [*_lost(parsed, modules, ours)]
        found += [f"{path}.{name}: {each}" for each in told]
        found += [f"{path}.{name}.{each}" for each in _numbers(route)]
    return found


def takes(routes: Mapping[str, Any], module: str, output: str) -> bool:
    """True if any of the routes takes the messages of a module's output."""
    address = ["messages", "modules", module.lower(), "outputs", output.lower()]
    parsed = (_parsed(_text(route)) for route in routes.values())
    return any(
        isinstance(each, Route) and address[: len(each.source)] == [*map(str.lower, each.source)]
        for each in parsed
    )


def _numbers(route: object) -> Iterator[str]:
    given = route if isinstance(route, Mapping) else {}
    for name, most in _MOST.items():
        value = given.get(name, 0)
        if type(value) is not int or not 0 <= value <= most:
            yield f"{name}: it is no whole number of 0 to {most}"


def _text(route: object) -> str:
    return str(route.get("route", "") if isinstance(route, Mapping) else route)


def _parsed(text: str) -> Route | str:
    """The route, or why it is none."""
    found = _ROUTE.fullmatch(text)
    if found is None:
        return f"`{text[:160]}` is no route; write `{_FORM}`"
    source = found["source"].rstrip("*").strip("/")
    parts = tuple(source.split("/")) if source else ()
    if found["sink"].lower() == "$upstream":
        return Route(parts, "", "")
    if endpoint := _ENDPOINT.fullmatch(found["sink"]):
        return Route(parts, endpoint["module"], endpoint["input"])
    return (
        f"`{found['sink'][:160]}` is nowhere; write `$upstream` or "
        '`BrokeredEndpoint("/modules/NAME/inputs/INPUT")`'
    )


def _lost(route: Route, modules: Collection[str], ours: str) -> Iterator[str]:
    """What of a route names something that is not there."""
    root, kind, module, way, output = (*map(str.lower, route.source), *[""] * 5)[:5]
    outputs = [each.value for each in Kind]
    nowhere = f"no message comes from `/{'/'.join(route.source)}`; write "
    if root not in _ROOTS or (root == "messages" and kind not in _BELOW_MESSAGES):
        yield nowhere + "`/messages/*` or `/messages/modules/NAME/*`"
    elif kind == "modules" and module and module not in {each.lower() for each in modules}:
        yield f"there is no module `{route.source[2]}`"
    elif way not in ("", "outputs") or len(route.source) > len(_LONGEST):
        yield nowhere + f"`/{'/'.join(_LONGEST)}`"
    elif module == ours and output and output not in outputs:
        yield f"`{ours}` has no output `{route.source[4]}`; it has {', '.join(outputs)}"
    if route.module and route.module not in modules:
        yield f"there is no module `{route.module}`"
    elif route.module == ours and route.input != INPUT:
        yield f"`{ours}` has no input `{route.input}`; it has `{INPUT}`"

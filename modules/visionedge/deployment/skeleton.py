"""The objects that a deployment manifest is made of, looked for before anything reads it.

A manifest is written by hand, and a list or null in the place of an object would end in the middle
of a rendering. Everything that is of the wrong kind is told at once, each with its path; what
stands in the objects is for `limits` and the public schemas.

Source: IoT Edge documentation, "Learn how to deploy modules and establish routes" (`$edgeAgent`,
`$edgeHub`, dotted names of layers).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from visionedge.deployment.placeholders import Document
from visionedge.errors import SettingsError

_DESIRED: Final = "properties.desired"
_ROUTES: Final = "routes"
_SECTIONS: Final = {"$edgeAgent": ("systemModules", "modules"), "$edgeHub": (_ROUTES,)}
"""What holds objects by name, of whom."""


def check(path: Path, document: Document) -> Document:
    """The document of a file, if it has the shape of a manifest, template or layer.

    Raises:
        SettingsError: something in it is of the wrong kind; names each path.
    """
    if found := [*misshapen(document)]:
        lines = "\n  ".join(found)
        raise SettingsError(f"{path} is no deployment manifest:\n  {lines}\n", hint="mend them")
    return document


def misshapen(document: Document) -> Iterator[str]:
    """`path: what is wrong` of everything that is of the wrong kind.

    Args:
        document: a manifest, a template, or a layer with dotted names.
    """
    # One that has none is told of by whoever needs it.
    contents = document.get("modulesContent", {})
    if not isinstance(contents, Mapping):
        yield "modulesContent: it is no object"
        return
    for module, sections in contents.items():
        if not isinstance(sections, Mapping):
            yield f"modulesContent.{module}: it is no object"
            continue
        for name, value in sections.items():
            at = tuple(name.removeprefix(_DESIRED).split(".")[1:])
            if name.startswith(_DESIRED):
                yield from _section(module, f"modulesContent.{module}.{name}", at, value)


def _section(module: str, path: str, at: tuple[str, ...], value: object) -> Iterator[str]:
    """The faults of a value and of what it holds, `at` below the desired properties."""
    if len(at) > 2 or (at and at[0] not in _SECTIONS.get(module, ())):
        return
    if len(at) == 2 and at[0] == _ROUTES:
        text = value.get("route") if isinstance(value, Mapping) else value
        if not isinstance(text, str):
            yield f"{path}: a route is a text, or an object with the text `route`"
    elif not isinstance(value, Mapping):
        yield f"{path}: it is no object"
    else:
        for name, inner in value.items():
            yield from _section(module, f"{path}.{name}", (*at, name), inner)

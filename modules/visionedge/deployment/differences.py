"""What differs between two manifests, by path, with secrets hidden.

Create options are compared as objects, so another order of keys, or another cut into
pieces, is no difference.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from visionedge.deployment.manifest import unpacked
from visionedge.deployment.placeholders import Document
from visionedge.runtime.redact import redact

_SECRET: Final = re.compile(r"(password|secret|token|key|credential)", re.IGNORECASE)


class _Leaf(NamedTuple):
    value: object
    before: object
    """The item before it in a list: an option, whose value this may be."""


def differences(old: Document, new: Document) -> list[str]:
    """Lines as `diff` writes them: `- path: value` is in `old` only, `+ path: value` in `new`."""
    before = dict(_leaves(unpacked(old), ""))
    after = dict(_leaves(unpacked(new), ""))
    lines = []
    for path in sorted(before.keys() | after.keys()):
        was, now = before.get(path), after.get(path)
        if was and now and was.value == now.value:
            continue
        lines += [f"- {path}: {_shown(path, was)}"] if was else []
        lines += [f"+ {path}: {_shown(path, now)}"] if now else []
    return lines


def _leaves(value: object, path: str, before: object = None) -> Iterator[tuple[str, _Leaf]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{index}]", value[index - 1] if index else None)
    else:
        yield path, _Leaf(value, before)


def _shown(path: str, leaf: _Leaf) -> str:
    # An env variable's value is one level below its name, or behind it as Docker writes it.
    names = path.rsplit(".", 2)[-2:]
    value = leaf.value
    if isinstance(leaf.before, str) and leaf.before.startswith("-"):
        names.append(leaf.before)
    if any(_SECRET.search(name) for name in names):
        return "(hidden)"
    if isinstance(value, str) and "=" in value and _SECRET.search(value.partition("=")[0]):
        value = value.partition("=")[0] + "=(hidden)"
    return redact(json.dumps(value, ensure_ascii=False))

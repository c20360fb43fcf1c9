"""What differs between two manifests, by path, with secrets hidden.

Create options are compared as objects, so another order of keys, or another cut into
pieces, is no difference.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

from visionedge.deployment.manifest import unpacked
from visionedge.deployment.placeholders import Document
from visionedge.runtime.redact import redact

_SECRET: Final = re.compile(r"(password|secret|token|key|credential)", re.IGNORECASE)
_ABSENT: Final = object()


def differences(old: Document, new: Document) -> list[str]:
    """Lines as `diff` writes them: `- path: value` is in `old` only, `+ path: value` in `new`."""
    before = dict(_leaves(unpacked(old), ""))
    after = dict(_leaves(unpacked(new), ""))
    lines = []
    for path in sorted(before.keys() | after.keys()):
        was, now = before.get(path, _ABSENT), after.get(path, _ABSENT)
        if was == now:
            continue
        lines += [f"- {path}: {_shown(path, was)}"] if was is not _ABSENT else []
        lines += [f"+ {path}: {_shown(path, now)}"] if now is not _ABSENT else []
    return lines


def _leaves(value: object, path: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{index}]")
    else:
        yield path, value


def _shown(path: str, value: object) -> str:
    # An env variable's value is one level below its name.
    names = path.rsplit(".", 2)[-2:]
    if any(_SECRET.search(name) for name in names):
        return "(hidden)"
    return redact(json.dumps(value, ensure_ascii=False))

"""Image references, told from what Docker takes for none.

An address with `https://`, an upper-case name or a comment that became part of a tag deploys
well, and every pull fails on the device.

Source: distribution/reference, `reference.go` (the grammar of names, tags and digests).
"""

import re
from typing import Final

from visionedge.runtime.redact import redact

_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
# A device below another one pulls from `$upstream`, which edgeAgent fills in.
_HOST: Final = re.compile(rf"(?:\$upstream|{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?")
_PART: Final = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_MAX_NAME: Final = 255
_SHOWN: Final = 160


def fault(reference: str) -> str:
    """Why `reference` names no image, with what to write instead; empty if it does."""
    why = _why(reference)
    return f"`{redact(reference)[:_SHOWN]}` names no image: {why}" if why else ""


def _why(reference: str) -> str:
    name, at, digest = reference.partition("@")
    name, _, tag = name.rpartition(":") if ":" in name.rsplit("/", 1)[-1] else (name, "", None)
    first, *rest = name.split("/")
    parts = rest if rest and _is_host(first) else [first, *rest]
    if "://" in reference:
        return "write the registry's address without `https://`"
    if re.search(r"[\s#]", reference):
        return "it holds a space or a `#`"
    if parts is rest and not _HOST.fullmatch(first):
        return f"`{first}` is no address of a registry"
    if any(not part for part in parts):
        return "it has an empty part; end the registry's address without `/`"
    if any(not _PART.fullmatch(part) for part in parts):
        return "write its name in lower case: letters and digits, and `.`, `_` or `-` between them"
    if len(name) > _MAX_NAME:
        return f"its name has {len(name)} characters, and {_MAX_NAME} fit"
    if tag is not None and not _TAG.fullmatch(tag):
        return "a tag has 1 to 128 letters, digits, `_`, `.` and `-`, the last two not in front"
    if at and not _DIGEST.fullmatch(digest):
        return "a digest is `sha256:` and 64 digits of 0-9a-f"
    return ""


def _is_host(first: str) -> bool:
    """As Docker tells an address from the first part of a name."""
    return (
        first in ("localhost", "$upstream")
        or "." in first
        or ":" in first
        or first != first.lower()
    )

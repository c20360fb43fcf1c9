"""The module twin: what the hub desires, as one document, and what it is answered.

Desired properties come as whole documents and as patches, late, twice, out of order, or not
at all. `DesiredState` folds them by their versions into the document that the hub has, and
says when only reading it again can tell. `plan` makes settings of that document, whole or
not at all, and `ReportedState` answers in the convention of IoT Plug and Play: for each
section what is in use (`value`), whether it was taken (`ac`: 200, 202 where some of it waits
for the next start, or 400), for which version (`av`), and why not (`ad`). A refused document
changes nothing; every bad field is named. What is reported unasked is in `facts`.

The answer covers all sections of the document, not only those of the last patch: a section
that was refused along with another one is taken when that one is mended, and is answered so.

What a twin cannot hold is kept out of the answer, because edgeHub drops a bad patch without
a word (its ReportedPropertiesValidator.cs): strings over 4096 bytes, names with a space, `.`,
`$` or `#`, documents over 32 KiB. (Integers beyond 2**52 no setting takes.) Neither are there
passwords.

Nothing here does I/O, and nothing is safe for several threads: it belongs to the control
thread. Source: Microsoft Learn, "IoT Plug and Play conventions", writable properties.
"""

import enum
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from visionedge.errors import SettingsError
from visionedge.runtime.redact import redact
from visionedge.settings import Document, Settings, resolve

TAKEN: Final = 200
PENDING: Final = 202
REFUSED: Final = 400
FACTS: Final = ("module", "connectivity", "camera", "model", "privacy")
"""Reported sections that answer nothing."""
FORGET: Final[Document] = dict.fromkeys([*Settings.model_fields, *FACTS])
"""Patch that takes away all that an earlier process reported; once, before the first answer."""

_MAX_STRING_BYTES: Final = 4096
_MAX_NAME_BYTES: Final = 1024
_MAX_REPORTED_BYTES: Final = 26_000
"""Of the answers; with the facts (`facts`) below the 32 KiB of all reported properties."""
_MAX_PATCH_BYTES: Final = 32_000
_MAX_REASON_BYTES: Final = 16_000
"""Of all reasons together."""
_MAX_LINE_BYTES: Final = 1024
"""Of the reason of one field."""
_HIDDEN_CHARS: Final = 8192
"""Of a reason that are looked through for passwords, far more than are kept of it."""
_MAX_TOLD: Final = 50
"""Reasons in the answer to a trial; the twin's own answer has all that fit."""
_MAX_UNKNOWN: Final = 16
"""Sections that are no settings and are answered; a typing error is one of a few."""
_MAX_VALUE_DEPTH: Final = 7
"""Ten levels are allowed, and a value begins at the third."""
_MAX_INTEGER: Final = 2**52
_NOT_IN_A_NAME: Final = re.compile(r"[\x00-\x20\x7f-\x9f.$#]")


class Folded(enum.Enum):
    """What became of a document or patch."""

    APPLIED = "applied"
    IGNORED = "ignored"
    """Nothing new: known already, or older than what is known."""
    REREAD = "reread"
    """A patch is missing before this one: read the whole document again."""


class DesiredState:
    """The desired properties as the hub has them, as far as is known.

    Attributes:
        document: without the hub's own `$` keys; replaced, never changed in place.
        version: of the document; None until the hub gave one.

    Args:
        kept: document and version that an earlier process had taken, and is in use.
    """

    def __init__(self, kept: tuple[Document, int | None] = ({}, None)) -> None:
        self.document, self.version = kept
        self._heard = False
        """Whether this process has heard of it from the hub."""

    @property
    def title(self) -> str:
        """How the log calls it; a hub in a folder has no version until somebody writes one."""
        return "no desired property" if self.version is None else f"desired version {self.version}"

    def replace(self, properties: Mapping[str, Any], version: int | None) -> Folded:
        """Take a whole document, which is the hub's word: also with a smaller version.

        Versions begin anew when an identity is created anew. A document without a version
        comes from an edgeHub that has not been in sync with the cloud since its own start;
        it knows nothing yet, and what the cloud once said holds.
        """
        if version is None and self.version is not None:
            return Folded.IGNORED
        document = _patched({}, _own(properties))
        known = version is not None and version == self.version and self._heard
        if known and _same(document, self.document):
            return Folded.IGNORED
        self.document, self.version, self._heard = document, version, True
        return Folded.APPLIED

    def patch(self, properties: Mapping[str, Any], version: int) -> Folded:
        """Merge a change (RFC 7386) if it is the next one."""
        if self.version is None or not self._heard or version > self.version + 1:
            return Folded.REREAD
        if version <= self.version:
            return Folded.IGNORED
        self.document = _patched(self.document, _own(properties))
        self.version = version
        return Folded.APPLIED


@dataclass(frozen=True, slots=True)
class Accepted:
    """The settings to use next, and the sections in which they differ from those in use."""

    settings: Settings
    changed: frozenset[str]


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing changes; why, by dotted path of each bad field (empty: the whole document)."""

    fields: Mapping[str, str]

    def told(self) -> dict[str, str]:
        """The reasons as they may leave the device: short, and without passwords."""
        listed = list(self.fields.items())[:_MAX_TOLD]
        return {_cut(redact(path), _MAX_NAME_BYTES): _line("", why) for path, why in listed}


Answer = Accepted | Refused


@dataclass(frozen=True, slots=True)
class OpenEnd:
    """A section that was taken, and of which some does not act: not yet, or not at all."""

    section: str
    reason: str
    failed: bool = False


def plan(layers: Iterable[Mapping[str, Any]], in_use: Settings) -> Answer:
    """What to do about a new desired document.

    Args:
        layers: all sources of settings in their order, the desired document last.
        in_use: the settings that stay if this is refused.
    """
    try:
        settings = resolve(layers)
    except SettingsError as error:
        return Refused(error.fields or {"": str(error)})
    changed = {
        name for name in Settings.model_fields if getattr(settings, name) != getattr(in_use, name)
    }
    return Accepted(settings, frozenset(changed))


def dry_run(
    layers: Iterable[Mapping[str, Any]],
    desired: DesiredState,
    changes: Mapping[str, Any],
    in_use: Settings,
    *,
    whole: bool = False,
) -> Answer:
    """What `plan` would say if the hub sent these changes next; nothing is changed.

    Args:
        whole: they are the whole document, not a change of it.
    """
    base: Document = {} if whole else desired.document
    return plan([*layers, _patched(base, _own(changes))], in_use)


class ReportedState:
    """What the hub was told, so that the next answer takes away what no longer holds.

    Reported properties are merged by the hub as desired ones are: a camera that is gone, or
    the reason of an old refusal, would stay there until a null removes it.

    Attributes:
        is_half: the last patch only made room; `acknowledge` again when the hub has it.
    """

    def __init__(self) -> None:
        self._told: Document = {}
        self._telling: Document = {}
        self.is_half = False

    def acknowledge(
        self,
        desired: DesiredState,
        answer: Answer,
        in_use: Settings,
        open_ends: Iterable[OpenEnd] = (),
    ) -> Document:
        """The patch that answers `desired`; call `delivered` when the hub has it.

        Args:
            desired: what was planned.
            answer: what came of it. Whoever cannot apply an accepted plan, because a model
                does not load, answers with a `Refused` of their own.
            in_use: the settings after that.
            open_ends: what of it was taken and does not act, or not yet.

        Returns:
            For each section `{"value", "ac", "av", "ad"}`: `value` holds what is in use of
            the fields that the section names, and nulls where something must go.
        """
        shown = in_use.model_dump(mode="json")
        sections = _answered_sections(desired.document)
        refused = _reasons(sections, answer.fields) if isinstance(answer, Refused) else {}
        pending = {} if refused else {end.section: end for end in open_ends}
        self._telling = _bounded(
            {
                _name(section): {
                    "value": holdable(shown.get(section, {}), desired.document[section]),
                    **_code(section, refused, pending),
                    "av": desired.version or 0,
                }
                for section in sections
            }
        )
        patch = _with_nulls(self._told, self._telling)
        self.is_half = size_bytes(patch) > _MAX_PATCH_BYTES
        if self.is_half:
            # A name takes room where it goes and where another comes: whole sections go first.
            patch, self._telling = dict.fromkeys(self._told), {}
        # Until it is delivered nobody knows which of the two the hub has: null out both.
        self._told = _patched(self._told, self._telling)
        return patch

    def delivered(self) -> None:
        """The hub has merged the last patch."""
        self._told = self._telling


def holdable(shown: Any, asked: Any, depth: int = 0) -> Any:  # noqa: ANN401 - any JSON value
    """Of `shown` what `asked` names, as a twin can hold it: also where a field is free JSON."""
    if isinstance(shown, Mapping):
        named = asked if isinstance(asked, Mapping) else shown
        return {
            _name(key): holdable(value, named[key], depth + 1)
            for key, value in shown.items()
            if key in named and value is not None and depth < _MAX_VALUE_DEPTH
        }
    if isinstance(shown, list):
        return [holdable(value, value, depth) for value in shown if value is not None]
    if isinstance(shown, str):
        return _cut(redact(shown), _MAX_STRING_BYTES)
    if type(shown) is int and abs(shown) > _MAX_INTEGER:
        return float(shown)
    return shown


def size_bytes(value: object) -> int:
    """Of a document on its way to the hub."""
    return len(json.dumps(value).encode())


def _code(
    section: str, refused: Mapping[str, str], pending: Mapping[str, OpenEnd]
) -> dict[str, Any]:
    if section in refused:
        return {"ac": REFUSED, "ad": refused[section]}
    if end := pending.get(section):
        code = REFUSED if end.failed else PENDING
        return {"ac": code, "ad": _line("", end.reason)}
    return {"ac": TAKEN}


def _own(properties: Mapping[str, Any]) -> Document:
    """Without `$version`, `$metadata` and what else is the hub's."""
    return {key: value for key, value in properties.items() if not key.startswith("$")}


def _patched(base: Mapping[str, Any], patch: Mapping[str, Any]) -> Document:
    """`base` with `patch` merged in (RFC 7386), without recursion: any depth is folded.

    `settings.merge` refuses what is nested too deeply. Here that would part us from the
    document that the hub has, so it is folded, and refused when settings are made of it.
    """
    merged = dict(base)
    todo: list[tuple[Document, Mapping[str, Any]]] = [(merged, patch)]
    while todo:
        target, changes = todo.pop()
        for key, value in changes.items():
            if value is None:
                target.pop(key, None)
            elif isinstance(value, Mapping):
                under = target.get(key)
                target[key] = dict(under) if isinstance(under, Mapping) else {}
                todo.append((target[key], value))
            else:
                target[key] = value
    return merged


def _same(one: Document, other: Document) -> bool:
    try:
        return one == other
    except RecursionError:
        return False


def _answered_sections(document: Document) -> list[str]:
    known = [section for section in document if section in Settings.model_fields]
    unknown = [section for section in document if section not in Settings.model_fields]
    return known + unknown[:_MAX_UNKNOWN]


def _reasons(sections: list[str], fields: Mapping[str, str]) -> dict[str, str]:
    """Why each section was refused: its own bad fields, else those of the others."""
    lines = {path: _line(path, reason) for path, reason in fields.items()}
    room_bytes = min(_MAX_STRING_BYTES, _MAX_REASON_BYTES // max(1, len(sections)))
    reasons = {}
    for section in sections:
        own = [line for path, line in lines.items() if f"{path}.".startswith(f"{section}.")]
        listed = "; ".join(own) or f"not applied, because of {'; '.join(lines.values())}"
        reasons[section] = _cut(listed, room_bytes)
    return reasons


def _line(path: str, reason: str) -> str:
    # Hidden first: a cut could take away the sign that a password ended here.
    line = f"{path}: {reason}" if path else reason
    return _cut(redact(line[:_HIDDEN_CHARS]), _MAX_LINE_BYTES)


def _with_nulls(told: Mapping[str, Any], telling: Mapping[str, Any]) -> Document:
    """The patch from `told` to `telling`: all of it, and null for what is no longer there."""
    patch: Document = {key: None for key in told if key not in telling}
    for key, value in telling.items():
        under = told.get(key)
        if isinstance(under, Mapping) and isinstance(value, Mapping):
            patch[key] = _with_nulls(under, value)
        else:
            patch[key] = value
    return patch


def _bounded(reported: Document) -> Document:
    """Without the largest values, if all of them are more than a twin holds."""
    while size_bytes(reported) > _MAX_REPORTED_BYTES:
        largest = max(reported.values(), key=lambda section: size_bytes(section["value"]))
        if not largest["value"]:
            break
        largest["value"] = {}
        largest.setdefault("ad", "the value is too large to be reported")
    return reported


def _name(section: str) -> str:
    shown = _NOT_IN_A_NAME.sub("_", redact(section[:_HIDDEN_CHARS]))
    shown = "".join(sign if sign.isprintable() else "_" for sign in shown)
    encoded = shown.encode("utf-8", "replace")
    return encoded[:_MAX_NAME_BYTES].decode("utf-8", "ignore") or "_"


def _cut(text: str, max_bytes: int) -> str:
    """`text` in at most `max_bytes` of UTF-8, with what that cannot say replaced."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= max_bytes:
        return encoded.decode()
    return f"{encoded[: max_bytes - 3].decode('utf-8', 'ignore')}..."

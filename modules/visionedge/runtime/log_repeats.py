"""A limit on log lines that say the same thing again: the first at once, then one a minute.

A fault that lasts is told by whoever meets it, again and again: each frame that a model
fails on, each message that cannot be written. A log that is full of them has room for
nothing else, and UploadModuleLogs sends all of it. So of lines that repeat, the first is
written at once, and after that at most one a minute, with how many were left out.

Lines repeat where logger, template and first argument are the same: the first argument
names the thing (`camera %s lost`), and each thing is news. So is what an error says, but for
the numbers in it: a file that is gone and one that is damaged are two faults. Templates that
name more than `_THINGS` things within a minute are one to this limit, so that no template
writes more than that many lines a minute, whatever it is told.

What was left out last is written when its minute is over, with the next line of anybody, or
when the process ends.
DEBUG lines are never left out: who asks for them wants them.

Logging guards its callers against arguments that fail when they are written, but not here:
so nothing that is asked for its text here may fail either.
"""

import copy
import logging
import re
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from visionedge.runtime.clock import Clock, SystemClock

_WINDOW_S: Final = 60.0
_THINGS: Final = 16
_KEPT: Final = 1024
"""Keys that are remembered; the oldest is forgotten, and its line is news again."""
_ERROR_CHARS: Final = 200
"""Of an error, by which it is told from others."""
_NUMBER: Final = re.compile(r"\d+")
Key = tuple[str, str, str | None]


@dataclass(slots=True)
class _Repeat:
    since_ns: int
    left_out: int = 0
    last: logging.LogRecord | None = None


class RepeatLimit:
    """Says which records to write now. For one thread at a time, such as a handler's lock gives.

    Args:
        clock: tells when a minute is over.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._repeats: OrderedDict[Key, _Repeat] = OrderedDict()
        self._things: OrderedDict[tuple[str, str], _Repeat] = OrderedDict()

    def take(self, record: logging.LogRecord) -> list[logging.LogRecord]:
        """What is to be written now that `record` has come: that, others, or nothing."""
        if record.levelno <= logging.DEBUG:
            return [record]
        now_ns = self._clock.ns()
        key = self._key(record, now_ns)
        known = self._repeats.get(key)
        if known is not None and not _is_over(known, now_ns):
            known.left_out += 1
            known.last = _plain(record)
            return self._overdue(now_ns)
        if known is not None:
            del self._repeats[key]
            # This line is the last of them, and stands for all.
            record = _counted(record, known.left_out + 1) if known.left_out else record
        written = [*self._overdue(now_ns), record]
        self._repeats[key] = _Repeat(now_ns)
        if len(self._repeats) > _KEPT:
            self._repeats.popitem(last=False)
        return written

    def rest(self) -> list[logging.LogRecord]:
        """The last of all that were left out, at the end: nothing comes after them."""
        repeats, self._repeats = self._repeats, OrderedDict()
        return [_counted(each.last, each.left_out) for each in repeats.values() if each.last]

    def _overdue(self, now_ns: int) -> list[logging.LogRecord]:
        """The last of those that were left out and whose minute is over."""
        found = []
        # The oldest is first, so this ends at the first one that is not over.
        while self._repeats and _is_over(next(iter(self._repeats.values())), now_ns):
            _, repeat = self._repeats.popitem(last=False)
            if repeat.last is not None:
                found.append(_counted(repeat.last, repeat.left_out))
        return found

    def _key(self, record: logging.LogRecord, now_ns: int) -> Key:
        template = (record.name, _words(record.msg))
        thing = _thing(record.args) if isinstance(record.args, tuple) else None
        if thing is None or (*template, thing) in self._repeats:
            return (*template, thing)
        seen = self._things.get(template)
        if seen is None or _is_over(seen, now_ns):
            self._things.pop(template, None)
            seen = self._things[template] = _Repeat(now_ns)
            if len(self._things) > _KEPT:
                self._things.popitem(last=False)
        seen.left_out += 1
        return (*template, thing if seen.left_out <= _THINGS else None)


def _thing(args: tuple[object, ...]) -> str | None:
    """What a line is about: what it names first, and what the errors in it say."""
    # A file is a thing as well, as a model is.
    named = [str(each) for each in args[:1] if isinstance(each, str | PurePath)]
    errors = [each for each in args if isinstance(each, BaseException)]
    named += [_NUMBER.sub("0", _words(each)[:_ERROR_CHARS]) for each in errors]
    return "\n".join(named) if named else None


def _is_over(repeat: _Repeat, now_ns: int) -> bool:
    return now_ns - repeat.since_ns >= _WINDOW_S * 1e9


def _plain(record: logging.LogRecord) -> logging.LogRecord:
    """Its text alone: arguments and traces may hold on to frames."""
    plain = copy.copy(record)
    plain.msg, plain.args, plain.exc_info = _text(record), (), None
    return plain


def _counted(record: logging.LogRecord, times: int) -> logging.LogRecord:
    counted = copy.copy(record)
    counted.msg, counted.args = f"{_text(record)} (repeated {times} times)", ()
    return counted


def _text(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - whatever a text fails with
        # Template and arguments of a library that do not fit must not fail its caller.
        return _words(record.msg)


def _words(thing: object) -> str:
    """What a thing says, or the name of its type where that fails, as an error's own text may."""
    try:
        return str(thing)
    except Exception:  # noqa: BLE001 - whatever a text fails with
        return type(thing).__name__

"""Faults over time: a file that says what goes wrong when, and who plays it.

    # storm.toml
    every = 60                  # begin anew each minute; without it, once

    [[step]]
    at = 5                      # seconds from the start
    for = 10                    # seconds; without it, until somebody heals it
    row = "lost-puback"         # a row of the behaviour table, or

    [[step]]
    at = 20
    for = 5
    fault = "latency_s"         # a single fault with its value, or
    value = 0.4

    [[step]]
    at = 40
    do = "rotate-ca"            # what happens at one moment

The same as JSON is taken from a file that ends in `.json`. A script is read whole before any of
it is played, and what is wrong with it is told with the number of its step.
"""

import json
import math
import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from devhub.errors import DevHubError, ScriptError
from devhub.faults import FaultValue, fitting
from devhub.rows import MOMENTS, ROWS, Row, at_rest

if TYPE_CHECKING:
    from devhub.hub import DevHub

_KINDS: Final = ("row", "fault", "do")
_KEYS: Final = frozenset({"at", "for", "value", *_KINDS})
_STOP_S: Final = 30.0
"""For a step that is under way; each is one call of the hub."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that goes wrong.

    Attributes:
        at_s: when, from the start of the script.
        for_s: how long; infinite for until somebody heals it, 0 for what is over at once.
        row: what.
    """

    at_s: float
    for_s: float
    row: Row

    @property
    def end_s(self) -> float:
        """When it is over."""
        return self.at_s + self.for_s


@dataclass(frozen=True, slots=True)
class Script:
    """Steps in the order of their times; made by `read` or `parse`.

    Attributes:
        steps: at least one.
        every_s: how often it begins anew; 0 for once.
    """

    steps: tuple[Step, ...]
    every_s: float = 0.0

    def moments(self) -> list[tuple[float, "Callable[[DevHub], None]"]]:
        """What is done when; what ends at a moment comes before what begins then."""
        ends = [
            (step.end_s, 0, step.row.end)
            for step in self.steps
            if step.row.faults and math.isfinite(step.end_s)
        ]
        begins = [(step.at_s, 1, step.row.begin) for step in self.steps]
        ordered = sorted([*ends, *begins], key=lambda moment: moment[:2])
        return [(at_s, call) for at_s, _, call in ordered]

    def faults(self) -> dict[str, FaultValue]:
        """Every fault that it touches, at rest."""
        return at_rest(name for step in self.steps for name in step.row.faults)


def read(path: Path) -> Script:
    """A script from a TOML or JSON file.

    Raises:
        ScriptError: it cannot be read, or cannot be played; names the file and the step.
    """
    try:
        text = path.read_text(encoding="utf-8")
        document = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        return parse(document)
    except OSError as error:
        raise ScriptError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ScriptError(f"{path}: {error}") from None
    except ScriptError as error:
        raise ScriptError(f"{path}: {error}") from None


def parse(document: object) -> Script:
    """A script from what a file holds.

    Raises:
        ScriptError: it cannot be played; names the step.
    """
    if not isinstance(document, dict) or document.keys() - {"step", "every"}:
        raise ScriptError("a script holds `step`, a list, and perhaps `every`; nothing else")
    entries = document.get("step")
    if not isinstance(entries, list) or not entries:
        raise ScriptError("a script has steps: `[[step]]` in TOML, a list `step` in JSON")
    steps = []
    for number, entry in enumerate(entries, 1):
        try:
            steps.append(_step(entry))
        except (ScriptError, ValueError) as error:
            raise ScriptError(f"step {number}: {error}") from None
    _refuse_overlaps(steps)
    every_s = _seconds(document, "every", 0.0)
    last_s = max(step.end_s for step in steps)
    if 0 < every_s < last_s:
        raise ScriptError(f"`every` is {every_s:g}, and the last step ends at {last_s:g} s")
    return Script(tuple(steps), every_s)


def _step(entry: object) -> Step:
    if not isinstance(entry, dict):
        raise ScriptError("a step is a table, such as {at = 5, row = 'lost-puback'}")
    if unknown := sorted(entry.keys() - _KEYS):
        raise ScriptError(f"{', '.join(unknown)} means nothing; there are {', '.join(_KEYS)}")
    named = [kind for kind in _KINDS if kind in entry]
    if len(named) != 1:
        raise ScriptError(f"a step has one of {', '.join(_KINDS)}, and this has {len(named)}")
    if "at" not in entry:
        raise ScriptError("`at` is missing: seconds from the start of the script")
    kind = named[0]
    if "value" in entry and kind != "fault":
        raise ScriptError(f"`value` goes with `fault`, not with `{kind}`")
    row = _row(kind, entry[kind], entry.get("value", True))
    if "for" in entry and not row.faults:
        raise ScriptError("`for` is of no use: this happens at one moment")
    for_s = _seconds(entry, "for", math.inf if row.faults else 0.0)
    if row.faults and not for_s:
        raise ScriptError("`for` is more than 0")
    return Step(_seconds(entry, "at", 0.0), for_s, row)


def _row(kind: str, name: object, value: FaultValue) -> Row:
    if kind == "fault":
        return Row("", {str(name): fitting(str(name), value)})
    known: Mapping[str, Any] = ROWS if kind == "row" else MOMENTS
    if not isinstance(name, str) or name not in known:
        raise ScriptError(f"no {kind} is called {name!r}; there are {', '.join(known)}")
    return ROWS[name] if kind == "row" else Row("", moment=name)


def _seconds(entry: Mapping[str, object], name: str, default: float) -> float:
    value = entry.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ScriptError(f"`{name}` is {value!r}, and should be seconds")
    if name in entry and not 0 <= value < math.inf:
        raise ScriptError(f"`{name}` is {value:g}, and should be seconds from 0 on")
    return float(value)


def _refuse_overlaps(steps: list[Step]) -> None:
    """One fault at a time of each name: the end of one step must not end another."""
    until: dict[str, tuple[float, int]] = {}
    for number, step in sorted(enumerate(steps, 1), key=lambda numbered: numbered[1].at_s):
        for name in step.row.faults:
            end_s, other = until.get(name, (0.0, 0))
            if step.at_s < end_s:
                raise ScriptError(f"step {number}: {name} is still on from step {other}")
            until[name] = (step.end_s, number)


@dataclass(slots=True, eq=False)
class ScriptPlayer:
    """Plays a script in a thread of its own, from `start` on.

    Attributes:
        ended: set when the last step has begun or ended, or it was stopped.
        error: why it ended before its end.
    """

    hub: "DevHub"
    script: Script
    ended: threading.Event = field(default_factory=threading.Event)
    error: DevHubError | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> "ScriptPlayer":
        """Begin; returns itself."""
        self._thread = threading.Thread(target=self._run, name="devhub-script", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """End it, and put what it has set to rest; can be called again."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_STOP_S)

    def _run(self) -> None:
        try:
            for pause_s, call in self._turns():
                if self._stop.wait(pause_s):
                    break
                call(self.hub)
            if self._stop.is_set():
                self.hub.set_faults(**self.script.faults())
        except DevHubError as error:
            self.error = error
        finally:
            self.ended.set()

    def _turns(self) -> "Iterator[tuple[float, Callable[[DevHub], None]]]":
        """Every call, after its pause: for as long as the script lasts."""
        started_s = time.monotonic()
        while True:
            for at_s, call in self.script.moments():
                yield max(0.0, started_s + at_s - time.monotonic()), call
            if not self.script.every_s:
                return
            started_s += self.script.every_s
